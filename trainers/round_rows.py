"""Sampled groups as rows of training, and rows of both kinds joined. Pure functions."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainers.examples import Examples
from trainers.groups import Group


def rows_of(groups: Sequence[Group]) -> Examples:
    """The responses of groups as rows; each group counts as a prompt of its own."""
    sizes = [len(group.responses) for group in groups]
    return Examples(
        prompts=[group.prompt for group in groups for _ in group.responses],
        responses=[response for group in groups for response in group.responses],
        rewards=np.array([reward for group in groups for reward in group.rewards], dtype=np.float64),
        groups=np.repeat(np.arange(len(groups)), sizes),
    )


def with_reference_rewards(rows: Examples, logged: Examples) -> Examples:
    """Rows with the rewards of reference samples that logged rows have for the same prompts."""
    known = logged.reference_rewards or {}
    of = {
        tuple(p): known[g] for p, g in zip(logged.prompts, logged.groups.tolist(), strict=True) if g in known
    }
    pairs = zip(rows.prompts, rows.groups.tolist(), strict=True)
    found = {group: of[key] for prompt, group in pairs if (key := tuple(prompt)) in of}
    return dataclasses.replace(rows, reference_rewards=found or None)


def logged_groups(logged: Examples, rows: int, rng: np.random.Generator) -> Examples:
    """Whole logged prompts in random order, all of them again where they run out.

    Args:
        logged: the logged rows.
        rows: how many rows are wanted, at least 1; the last prompt may bring some more.
        rng: source of the order.
    """
    members = [np.flatnonzero(logged.groups == group) for group in np.unique(logged.groups)]
    chosen: list[NDArray[np.int64]] = []
    order: list[int] = []
    while sum(map(len, chosen)) < rows:
        order = order or rng.permutation(len(members)).tolist()
        chosen.append(members[order.pop()])
    found = logged.take(np.concatenate(chosen))
    return dataclasses.replace(found, groups=np.repeat(np.arange(len(chosen)), list(map(len, chosen))))


def joined(first: Examples, second: Examples) -> Examples:
    """Rows one after the other, without rewards of reference samples; no prompt of the one is the other's.

    A column that only one of them has is filled up: NaN for ``behaviour_logps``, "nothing" for the marks.
    """
    offset = int(first.groups.max()) + 1
    return Examples(
        prompts=[*first.prompts, *second.prompts],
        responses=[*first.responses, *second.responses],
        rewards=np.concatenate([first.rewards, second.rewards]),
        groups=np.concatenate([first.groups, second.groups + offset]),
        behaviour_logps=_column(first, second, "behaviour_logps", np.nan),
        pairs=_column(first, second, "pairs", -1),
        labels=_column(first, second, "labels", -1),
    )


def _column(first: Examples, second: Examples, name: str, nothing: float) -> Any:
    one, other = getattr(first, name), getattr(second, name)
    if one is None and other is None:
        return None
    kind = (one if one is not None else other).dtype
    parts = [
        np.full(len(rows), nothing, dtype=kind) if column is None else column
        for rows, column in ((first, one), (second, other))
    ]
    return np.concatenate(parts)


def effective_share(log_weights: NDArray[np.float64], groups: NDArray[np.int64]) -> float:
    """Mean over groups of (Σw)²/(n Σw²): the share of the samples that weights leave effective; 0 to 1.

    Args:
        log_weights: log of each sample's weight; (N,).
        groups: of each sample; (N,).
    """
    shares = []
    for group in np.unique(groups):
        own = log_weights[groups == group]
        weights = np.exp(own - own.max())
        shares.append(weights.sum() ** 2 / (len(own) * np.square(weights).sum()))
    return float(np.mean(shares))
