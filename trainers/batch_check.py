"""Whether a row's numbers depend on the rows that share its batch: one check for every kind of model."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from trainers.errors import UserError

Row = TypeVar("Row")

#: How far a row's numbers may move with its batch, relative to their size above 1, by number format.
TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.2, torch.float16: 0.05}


@torch.no_grad()
def needs_equal_lengths(
    numbers: Callable[[Sequence[Row]], Sequence[Tensor]],
    rows: Sequence[Row],
    lengths: Sequence[int],
    what: str,
    tolerance: float = TOLERANCE[torch.float32],
) -> bool:
    """Compares each row's numbers alone with those that it has beside others.

    Args:
        numbers: What is to be checked: log-probs, values, scores; one tensor of any shape for each row that
            it is given.
        rows: A few rows; two of one length at least, and one of another.
        lengths: Of the rows.
        what: Names the model, for the message.
        tolerance: Of the difference, relative to the numbers' size above 1.

    Returns:
        Whether rows may share a batch only where all are equally long: the model reads its padding.

    Raises:
        UserError: A row's numbers depend on the rows beside it even then.
    """
    alone = [numbers([row])[0] for row in rows]
    if difference(numbers(rows), alone) <= tolerance:
        return False
    worst = 0.0
    for length in dict.fromkeys(lengths):
        part = [i for i, own in enumerate(lengths) if own == length]
        worst = max(worst, difference(numbers([rows[i] for i in part]), [alone[i] for i in part]))
    if worst <= tolerance:
        return True
    raise UserError(
        f"{what}: its numbers for a row change by {worst:.2g} with the rows beside it, even where all are "
        "equally long: its layers mix the rows of a batch, so its numbers aren't reliable. "
        "Use another model."
    )


def difference(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """The largest difference, relative to the expected size above 1; infinite where one is no number.

    What isn't finite in the expected numbers isn't compared: a model that diverged is another matter.

    Args:
        found: N tensors.
        expected: N tensors of the same shapes.
    """
    worst = 0.0
    for ours, theirs in zip(found, expected, strict=True):
        ours, theirs = ours.float(), theirs.float()
        gap = (ours - theirs).abs() / theirs.abs().clamp(min=1.0)
        gap = torch.where(theirs.isfinite(), gap, 0.0).nan_to_num(nan=float("inf"))
        worst = max(worst, float(gap.max()))
    return worst
