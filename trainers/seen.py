"""How much data a method trained on, in the same terms for every method."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Seen:
    """The data that a training used.

    Attributes:
        rows: responses that the data hold; of an online method, those it sampled.
        rows_used: distinct ones used by any step.
        prompts: distinct prompts among those.
        presentations: rows of all steps together, repeats counted.
        tokens: of the responses of all presentations.
        epochs: presentations divided by the number of available rows.
        pairs: pairs that were made of the rows; None for a method that trains on single rows.
        pairs_used: distinct ones used by any step.
    """

    rows: int
    rows_used: int
    prompts: int
    presentations: int
    tokens: int
    epochs: float
    pairs: int | None = None
    pairs_used: int | None = None


def seen_offline(
    units: NDArray[np.int64],
    groups: NDArray[np.int64],
    lengths: NDArray[np.float64],
    batches: NDArray[np.int64],
    rows: int,
) -> Seen:
    """The data that an offline training used.

    Args:
        units: the rows of each unit: one, or a pair; (U, 1) or (U, 2).
        groups: the prompt that each row belongs to; (N,).
        lengths: tokens of each row's response; (N,).
        batches: units of the steps that were done; (S, B).
        rows: of the data, before the method chose N among them.
    """
    distinct = np.unique(batches)
    used = np.unique(units[distinct])
    paired = units.shape[1] == 2
    return Seen(
        rows=rows,
        rows_used=len(used),
        prompts=len(np.unique(groups[used])),
        presentations=batches.size * units.shape[1],
        tokens=int(lengths[units[batches]].sum()),
        epochs=batches.size / len(units),
        pairs=len(units) if paired else None,
        pairs_used=len(distinct) if paired else None,
    )
