"""From rows to what each method needs: labels, pairs, prompts, groups. Pure functions."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rpo_bench.data.row import PAIR, PREFERRED, Prompt, Row
from rpo_bench.errors import UserError

LabelRule = Literal["prompt_mean", "global_mean", "positive"]
PairMode = Literal["best_worst", "all"]


def group_ids(rows: Sequence[Row]) -> NDArray[np.int64]:
    """Which prompt each row belongs to, numbered 0, 1, … by first appearance; (N,)."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(row.prompt_id, len(numbers)) for row in rows], dtype=np.int64)


def rewards_of(rows: Sequence[Row]) -> NDArray[np.float64]:
    """The rows' rewards; (N,)."""
    return np.array([row.reward for row in rows], dtype=np.float64)


def prompts_of(rows: Sequence[Row]) -> list[Prompt]:
    """Each prompt once, by first appearance, with the metadata that all its rows agree on.

    What marks a preference pair stays behind: it speaks of the responses.
    """
    texts: dict[str, str] = {}
    metadata: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row.prompt_id not in texts:
            texts[row.prompt_id] = row.prompt
            metadata[row.prompt_id] = {k: v for k, v in row.metadata.items() if k not in (PAIR, PREFERRED)}
        common, other = metadata[row.prompt_id], row.metadata
        metadata[row.prompt_id] = {k: v for k, v in common.items() if k in other and other[k] == v}
    return [Prompt(prompt_id=key, text=text, metadata=metadata[key]) for key, text in texts.items()]


def desirable_labels(
    rewards: NDArray[np.float64], groups: NDArray[np.int64], rule: LabelRule = "prompt_mean"
) -> NDArray[np.bool_]:
    """Which responses count as good, as KTO wants to know.

    Under "prompt_mean" a response is good when its reward is above the mean of its prompt's. A prompt whose
    rewards are all equal (one response is the plainest case) says nothing by itself; there the mean over all
    rows decides, as it does everywhere under "global_mean". "positive" takes the sign of the reward.

    Args:
        rewards: (N,).
        groups: which prompt each row belongs to, (N,), 0 … G−1.
        rule: see above.

    Returns:
        (N,) bool.
    """
    if rule == "positive":
        return rewards > 0
    everywhere = np.full(len(rewards), rewards.mean())  # (N,)
    if rule == "global_mean":
        return _above(rewards, everywhere)
    means, lows, highs = group_statistics(rewards, groups)  # (G,) each
    threshold = np.where((highs > lows)[groups], means[groups], everywhere)
    return _above(rewards, threshold)


def _above(rewards: NDArray[np.float64], threshold: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Greater by more than rounding: three rewards of 0.1 have a mean that differs from 0.1; (N,) bool."""
    above: NDArray[np.bool_] = rewards - threshold > 1e-12 * np.abs(rewards).max(initial=0.0)
    return above


def group_statistics(
    rewards: NDArray[np.float64], groups: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Mean, minimum and maximum of every group's rewards; (G,) each for groups 0 … G−1."""
    n = int(groups.max()) + 1
    means = np.bincount(groups, weights=rewards, minlength=n) / np.bincount(groups, minlength=n)
    lows, highs = np.full(n, np.inf), np.full(n, -np.inf)
    np.minimum.at(lows, groups, rewards)
    np.maximum.at(highs, groups, rewards)
    return means, lows, highs


def pairs(rows: Sequence[Row], mode: PairMode = "best_worst") -> list[tuple[int, int]]:
    """Pairs (winner, loser) of row indices with one prompt and different rewards.

    "best_worst" gives at most one pair per prompt (of equals, the first row counts); "all" gives every
    ordered pair. A prompt whose rewards are all equal gives none.
    """
    members: dict[str, list[int]] = {}
    for i, row in enumerate(rows):
        members.setdefault(row.prompt_id, []).append(i)
    make = _best_and_worst if mode == "best_worst" else _all_ordered
    return [pair for indices in members.values() for pair in make(rows, indices)]


def _best_and_worst(rows: Sequence[Row], indices: list[int]) -> Iterator[tuple[int, int]]:
    best = max(indices, key=lambda i: rows[i].reward)
    worst = min(indices, key=lambda i: rows[i].reward)
    if rows[best].reward > rows[worst].reward:
        yield best, worst


def _all_ordered(rows: Sequence[Row], indices: list[int]) -> Iterator[tuple[int, int]]:
    return ((i, j) for i in indices for j in indices if rows[i].reward > rows[j].reward)


def zscore(values: NDArray[np.float64], reference: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """(values − mean) / standard deviation, both of ``reference`` (the values themselves when None); (N,).

    Raises:
        UserError: the reference has no spread, so that a z-score means nothing.
    """
    source = values if reference is None else reference
    deviation = source.std()
    if not deviation > 1e-12 * np.abs(source).max(initial=0.0):
        raise UserError(f"All rewards are {source[0]:g}: there is nothing to learn from them.")
    scores: NDArray[np.float64] = (values - source.mean()) / deviation
    return scores
