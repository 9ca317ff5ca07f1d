"""From rows to what each method needs: labels, pairs, prompts, groups. Pure functions."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rpo_bench.data.fields import REFERENCE, REFERENCES
from rpo_bench.data.row import Prompt, Row

LabelRule = Literal["prompt_mean", "global_mean", "positive"]
UNLABELLED = -1
_ROUNDING = 1e-12  # of a mean, relative to the largest of what it is the mean of


def group_ids(rows: Sequence[Row]) -> NDArray[np.int64]:
    """Which prompt each row belongs to, numbered 0, 1, … by first appearance; (N,)."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(row.prompt_id, len(numbers)) for row in rows], dtype=np.int64)


def rewards_of(rows: Sequence[Row]) -> NDArray[np.float64]:
    """The rows' rewards; (N,)."""
    return np.array([row.reward for row in rows], dtype=np.float64)


def pairs_in(rows: Sequence[Row]) -> NDArray[np.int64] | None:
    """Which annotated preference pair each row belongs to, −1 for none, (N,); None where there is none."""
    if all(row.pair is None for row in rows):
        return None
    numbers: dict[tuple[str, str], int] = {}
    return np.array(
        [
            -1 if row.pair is None else numbers.setdefault((row.prompt_id, row.pair), len(numbers))
            for row in rows
        ],
        dtype=np.int64,
    )


def labels_in(rows: Sequence[Row]) -> NDArray[np.int8] | None:
    """What the data itself calls each row: 1 desirable, 0 undesirable, −1 nothing, (N,); None for no row."""
    if all(row.label is None for row in rows):
        return None
    return np.array([UNLABELLED if row.label is None else int(row.label) for row in rows], dtype=np.int8)


def prompts_of(rows: Sequence[Row]) -> list[Prompt]:
    """Each prompt once, by first appearance, with the metadata that all its rows agree on.

    Reference texts belong to the prompt, as ``reference_rewards`` do: those of one row are enough, and those
    of several are put together.
    """
    texts: dict[str, str] = {}
    metadata: dict[str, dict[str, Any]] = {}
    references: dict[str, dict[str, list[Any]]] = {}
    for row in rows:
        if row.prompt_id not in texts:
            texts[row.prompt_id] = row.prompt
            metadata[row.prompt_id] = dict(row.metadata)
        common, other = metadata[row.prompt_id], row.metadata
        metadata[row.prompt_id] = {k: v for k, v in common.items() if k in other and other[k] == v}
        for name in (REFERENCE, REFERENCES):
            given = other.get(name)
            seen = references.setdefault(row.prompt_id, {}).setdefault(name, [])
            if given is not None and given not in seen:
                seen.append(given)
    return [
        Prompt(prompt_id=key, text=text, metadata=metadata[key] | _together(references[key]))
        for key, text in texts.items()
    ]


def _together(found: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Reference columns of a prompt's rows: as they are where they don't differ, else all texts as a list."""
    if all(len(values) <= 1 for values in found.values()):
        return {name: values[0] for name, values in found.items() if values}
    listed = [one for values in found.values() for v in values for one in (v if isinstance(v, list) else [v])]
    return {REFERENCES: list(dict.fromkeys(map(str, listed)))}


def desirable_labels(
    rewards: NDArray[np.float64],
    groups: NDArray[np.int64],
    rule: LabelRule = "prompt_mean",
    labels: NDArray[np.int8] | None = None,
) -> NDArray[np.bool_]:
    """Which responses count as good, as KTO wants to know.

    What the data itself calls a row stands; a rule decides of the others.
    Under "prompt_mean" a response is good when its reward is above the mean of its prompt's. A prompt whose
    rewards are all equal (one response is the plainest case) says nothing by itself; there the mean over all
    rows decides, as it does everywhere under "global_mean". "positive" takes the sign of the reward.

    Args:
        rewards: (N,).
        groups: which prompt each row belongs to, (N,), 0 … G−1.
        rule: see above.
        labels: what the data itself calls each row, see ``labels_in``.

    Returns:
        (N,) bool.
    """
    found = _by_rule(rewards, groups, rule)
    return found if labels is None else np.where(labels == UNLABELLED, found, labels == 1)


def _by_rule(rewards: NDArray[np.float64], groups: NDArray[np.int64], rule: LabelRule) -> NDArray[np.bool_]:
    if rule == "positive":
        return rewards > 0
    everywhere = _above(rewards, rewards.mean(), np.abs(rewards).max(initial=0.0))
    if rule == "global_mean":
        return everywhere
    means, lows, highs = group_statistics(rewards, groups)  # (G,) each
    largest = np.maximum(np.abs(lows), np.abs(highs))
    return np.where((highs > lows)[groups], _above(rewards, means[groups], largest[groups]), everywhere)


def _above(rewards: NDArray[np.float64], mean: Any, largest: Any) -> NDArray[np.bool_]:
    """Greater than a mean by more than its rounding: three rewards of 0.1 have a mean that differs from 0.1.

    How far a mean may be off depends on what it is the mean of; no other reward has a say.

    Args:
        rewards: (N,).
        mean: of each reward's group; () or (N,).
        largest: absolute reward in that group; () or (N,).

    Returns:
        (N,) bool.
    """
    above: NDArray[np.bool_] = rewards - mean > _ROUNDING * largest
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
