"""Splits rows into training and held-out parts by prompt."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rpo_bench.data.conversation import alike, identity
from rpo_bench.data.excerpt import excerpt
from rpo_bench.data.row import Row
from rpo_bench.errors import UserError

log = logging.getLogger(__name__)
SIDES = ("train", "test")


@dataclass(frozen=True)
class Split:
    """Training rows and held-out rows; each with at least one prompt."""

    train: list[Row]
    test: list[Row]


def split_rows(rows: Sequence[Row], test_fraction: float, seed: int) -> Split:
    """Splits rows by their prompts.

    A row's own ``split`` is kept. Prompts without one are ranked by a hash of the seed and the prompt's text,
    and the first ``test_fraction`` of them are held out (rounded, and at least one on each side if no row has
    its own split). The order of rows doesn't matter. Nearly equal prompts (see ``alike``), and equal prompts
    with different ids, count as one and stay together.

    Args:
        rows: all rows.
        test_fraction: share of the prompts without their own split to hold out, in (0, 1).
        seed: seed of the split.

    Raises:
        UserError: an unknown split, a prompt on both sides, or a side without any prompt.
    """
    keys = {row.prompt: alike(row.prompt) for row in rows}
    own = _own_sides(rows)
    sides = _kept_sides(own, keys)
    undivided: dict[str, str] = {}  # shared key of nearly equal prompts → representative prompt
    for prompt, key in keys.items():
        if key not in sides:
            undivided[key] = min(identity(prompt), undivided.get(key, identity(prompt)))
    ranked = sorted(undivided, key=lambda key: _rank(seed, undivided[key]))
    n_test = round(test_fraction * len(ranked))
    if not sides:
        n_test = min(max(n_test, 1), len(ranked) - 1)
    sides |= {key: "test" if i < n_test else "train" for i, key in enumerate(ranked)}
    parts: dict[str, list[Row]] = {side: [] for side in SIDES}
    for row in rows:
        parts[own.get(row.prompt) or sides[keys[row.prompt]]].append(row)
    for side in SIDES:
        if not parts[side]:
            raise UserError(_one_sided(rows, side))
    return Split(**parts)


def _own_sides(rows: Sequence[Row]) -> dict[str, str]:
    """Prompt text → the split given by its rows."""
    first: dict[str, Row] = {}
    for row in rows:
        if row.split is None:
            continue
        if row.split not in SIDES:
            raise UserError(
                f"{_place(row)}: the split is '{excerpt(row.split)}', but only 'train' and 'test' are known; "
                "rename it, or read only that part with --split."
            )
        other = first.setdefault(row.prompt, row)
        if other.split != row.split:
            raise UserError(
                f"A prompt is in '{row.split}' ({_place(row)}) and in '{other.split}' ({_place(other)}), and "
                "held-out prompts must not be trained on: remove it from one of the two, or read only one "
                "part with --split train."
            )
    return {prompt: str(row.split) for prompt, row in first.items()}


def _kept_sides(own: Mapping[str, str], keys: Mapping[str, str]) -> dict[str, str]:
    """Shared key of nearly equal prompts → the split given by one of them.

    If the data put them on both sides, this is kept with a warning.
    """
    sides: dict[str, str] = {}
    straddling = set()
    for prompt, side in own.items():
        if sides.setdefault(keys[prompt], side) != side:
            straddling.add(keys[prompt])
            sides[keys[prompt]] = "train"  # prompts without their own split aren't held out then
    if straddling:
        log.warning(
            "%s prompts in 'train' differ from prompts in 'test' only in spacing, case or Unicode form: "
            "held-out prompts are partly trained on.",
            f"{len(straddling):,}",
        )
    return sides


def _rank(seed: int, prompt: str) -> bytes:
    return hashlib.sha256(f"{seed}\n{prompt}".encode()).digest()


def _place(row: Row) -> str:
    return row.source or f"prompt {excerpt(row.prompt_id)}"


def _one_sided(rows: Sequence[Row], empty: str) -> str:
    if any(row.split for row in rows):
        full = "test" if empty == "train" else "train"
        return (
            f"The rows' own 'split' puts every prompt in '{full}' and none in '{empty}': "
            f"mark some as '{empty}', or let the seed decide with --split {full}."
        )
    return (
        "The rows have only one prompt (ignoring spacing, case and Unicode form): at least two are needed, "
        "one to train on and one to hold out."
    )
