"""Pure functions from rows to labels, pairs, prompts and groups."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rpo_bench.data.fields import REFERENCE, REFERENCES
from rpo_bench.data.row import Prompt, Row

LabelRule = Literal["prompt_mean", "global_mean", "positive"]
UNLABELLED = -1
_ROUNDING = 1e-12  # rounding of a mean, relative to the largest absolute value


def group_ids(rows: Sequence[Row]) -> NDArray[np.int64]:
    """The prompt index of each row: 0, 1, … by first appearance; (N,)."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(row.prompt_id, len(numbers)) for row in rows], dtype=np.int64)


def rewards_of(rows: Sequence[Row]) -> NDArray[np.float64]:
    """The rows' rewards; (N,)."""
    return np.array([row.reward for row in rows], dtype=np.float64)


def pairs_in(rows: Sequence[Row]) -> NDArray[np.int64] | None:
    """The index of each row's preference pair, −1 for none; (N,). None without any pairs."""
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
    """The data's own labels: 1 desirable, 0 undesirable, −1 none; (N,). None without any labels."""
    if all(row.label is None for row in rows):
        return None
    return np.array([UNLABELLED if row.label is None else int(row.label) for row in rows], dtype=np.int8)


def prompts_of(rows: Sequence[Row]) -> list[Prompt]:
    """Each prompt once, by first appearance, with the metadata common to all its rows.

    Reference texts belong to the prompt, like ``reference_rewards``. One row with them is enough, and those
    of several rows are combined.
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
    """Reference columns of a prompt's rows: unchanged if equal, otherwise all texts as a list."""
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
    """Labels responses as desirable or not, for KTO.

    The data's own labels are kept; a rule labels the other rows.
    Under "prompt_mean", a response is desirable if its reward is above its prompt's mean. If all rewards of a
    prompt are equal (such as for one response), the mean over all rows decides, as under "global_mean".
    "positive" uses the sign of the reward.

    Args:
        rewards: (N,).
        groups: prompt index of each row, 0 … G−1; (N,).
        rule: the labelling rule.
        labels: the data's own labels, see ``labels_in``.

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
    """Whether rewards exceed a mean by more than rounding: the mean of three 0.1 differs from 0.1.

    The tolerance depends only on the values in that mean.

    Args:
        rewards: (N,).
        mean: of each reward's group; () or (N,).
        largest: largest absolute reward in that group; () or (N,).

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
