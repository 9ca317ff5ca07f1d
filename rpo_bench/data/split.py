"""Which prompts are trained on and which are held out: by prompt, never by row."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rpo_bench.data.row import Row
from rpo_bench.errors import UserError

SIDES = ("train", "test")


@dataclass(frozen=True)
class Split:
    """Rows to train on and rows whose prompts are held out; each with at least one prompt."""

    train: list[Row]
    test: list[Row]


def split_rows(rows: Sequence[Row], test_fraction: float, seed: int) -> Split:
    """Divides rows by their prompts.

    A row's own ``split`` is honoured. The prompts without one are ranked by a hash of the seed and the
    prompt's text, and the first ``test_fraction`` of them (rounded, at least one on either side where the
    rows decide alone) are held out: the order of the rows plays no part, and equal prompts under different
    ids stay together.

    Args:
        rows: all rows.
        test_fraction: share of the undivided prompts to hold out, in (0, 1).
        seed: another seed holds out other prompts.

    Raises:
        UserError: an unknown split, a prompt on both sides, or a side without any prompt.
    """
    sides = _own_sides(rows)
    undivided = sorted({row.prompt for row in rows if row.prompt not in sides}, key=_rank(seed))
    n_test = round(test_fraction * len(undivided))
    if not sides:
        n_test = min(max(n_test, 1), len(undivided) - 1)
    sides |= {prompt: "test" if i < n_test else "train" for i, prompt in enumerate(undivided)}
    split = Split(
        train=[row for row in rows if sides[row.prompt] == "train"],
        test=[row for row in rows if sides[row.prompt] == "test"],
    )
    for side in SIDES:
        if not getattr(split, side):
            raise UserError(_one_sided(rows, side))
    return split


def _own_sides(rows: Sequence[Row]) -> dict[str, str]:
    """Prompt text → the side that its rows ask for."""
    first: dict[str, Row] = {}
    for row in rows:
        if row.split is None:
            continue
        if row.split not in SIDES:
            raise UserError(
                f"{_place(row)}: the split is '{row.split}', but only 'train' and 'test' are known; "
                f"rename it, or read that part alone with --split {row.split}."
            )
        other = first.setdefault(row.prompt, row)
        if other.split != row.split:
            raise UserError(
                f"A prompt is in '{row.split}' ({_place(row)}) and in '{other.split}' ({_place(other)}), and "
                "what is held out must not be trained on: take it out of one of the two, or read one part "
                "alone with --split train."
            )
    return {prompt: str(row.split) for prompt, row in first.items()}


def _rank(seed: int) -> Callable[[str], bytes]:
    def key(prompt: str) -> bytes:
        return hashlib.sha256(f"{seed}\n{prompt}".encode()).digest()

    return key


def _place(row: Row) -> str:
    return row.source or f"prompt {row.prompt_id}"


def _one_sided(rows: Sequence[Row], empty: str) -> str:
    if any(row.split for row in rows):
        full = "test" if empty == "train" else "train"
        return (
            f"The rows' own 'split' puts every prompt in '{full}' and none in '{empty}': "
            f"mark some as '{empty}', or leave the division to the seed with --split {full}."
        )
    return "The rows have only one prompt: at least two are needed, one to train on and one to hold out."
