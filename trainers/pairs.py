"""Pairs of responses to one prompt, made from the same scored rows that every method sees."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trainers.errors import NothingToLearnError
from trainers.examples import Examples

Pairing = Literal["best_worst", "all", "adjacent"]


def make_pairs(examples: Examples, pairing: Pairing) -> NDArray[np.int64]:
    """Row indices of (better, worse) responses to the same prompt; (M, 2). See ``pair_rows``.

    Raises:
        NothingToLearnError: no prompt has two responses with different rewards.
    """
    found = pair_rows(examples.rewards, examples.groups, pairing, examples.pairs)
    if not len(found):
        raise NothingToLearnError(
            "No prompt has two responses with different rewards: there are no pairs to train on."
        )
    return found


def pair_rows(
    rewards: NDArray[np.float64],
    groups: NDArray[np.int64],
    pairing: Pairing,
    annotated: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """Row indices of (better, worse) responses to the same prompt.

    Rows that the data annotates as a pair are that pair, whatever ``pairing`` says, and are in no other; a
    row whose partner was left out is in none (``lonely_rows``). The other rows of a prompt are paired by
    their rewards. Ties have no better one: they are left out, but for "adjacent", where the difference 0 is
    information.

    Args:
        rewards: (N,).
        groups: which prompt each row belongs to; (N,).
        pairing: "best_worst": one pair per prompt; "all": every ordered pair; "adjacent": first with second,
            third with fourth … , so that responses sampled independently give independent pairs.
        annotated: which annotated pair each row belongs to, −1 for none; (N,).

    Returns:
        (M, 2).
    """
    marks = np.full(len(groups), -1, dtype=np.int64) if annotated is None else annotated
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=groups[order[0]] - 1))
    found: list[tuple[int, int]] = []
    for rows in np.split(order, starts[1:]):
        own = marks[rows]
        for first, second in _partners(rows[own >= 0], marks):
            found.extend(_pairs_of_group(np.array([first, second]), rewards[[first, second]], pairing))
        free = rows[own < 0]
        if len(free):
            found.extend(_pairs_of_group(free, rewards[free], pairing))
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def lonely_rows(groups: NDArray[np.int64], annotated: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """Rows of annotated pairs whose partner isn't among the rows: no pair is made of them; (L,)."""
    if annotated is None:
        return np.zeros(0, dtype=np.int64)
    rows = np.flatnonzero(annotated >= 0)
    keys = np.stack([groups[rows], annotated[rows]], axis=1)
    _, place, counts = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    lonely: NDArray[np.int64] = rows[counts[place.ravel()] < 2]
    return lonely


def _partners(rows: NDArray[np.int64], marks: NDArray[np.int64]) -> list[tuple[int, int]]:
    """The annotated pairs among a prompt's rows, in the order in which their first rows come."""
    members: dict[int, list[int]] = {}
    for row in rows.tolist():
        members.setdefault(int(marks[row]), []).append(row)
    return [(own[0], own[1]) for own in members.values() if len(own) == 2]


def _pairs_of_group(
    rows: NDArray[np.int64], rewards: NDArray[np.float64], pairing: Pairing
) -> list[tuple[int, int]]:
    if pairing == "adjacent":
        candidates = [(i, i + 1) for i in range(0, len(rows) - 1, 2)]
        return [_better_first(rows, rewards, i, j) for i, j in candidates]
    if pairing == "best_worst":
        best, worst = int(rewards.argmax()), int(rewards.argmin())
        return [(int(rows[best]), int(rows[worst]))] if rewards[best] > rewards[worst] else []
    return [
        _better_first(rows, rewards, i, j)
        for i in range(len(rows))
        for j in range(i + 1, len(rows))
        if rewards[i] != rewards[j]
    ]


def _better_first(rows: NDArray[np.int64], rewards: NDArray[np.float64], i: int, j: int) -> tuple[int, int]:
    return (int(rows[i]), int(rows[j])) if rewards[i] >= rewards[j] else (int(rows[j]), int(rows[i]))
