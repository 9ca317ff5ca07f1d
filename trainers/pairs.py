"""Pairs of responses to one prompt, made from the same scored rows that every method sees."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trainers.errors import UserError
from trainers.examples import Examples

Pairing = Literal["best_worst", "all", "adjacent"]


def make_pairs(examples: Examples, pairing: Pairing) -> NDArray[np.int64]:
    """Row indices of (better, worse) responses to the same prompt; (M, 2).

    Args:
        examples: N scored rows.
        pairing: "best_worst": one pair per prompt; "all": every ordered pair; "adjacent": first with second,
            third with fourth … , so that responses sampled independently give independent pairs.

    Ties have no better one: they are left out, but for "adjacent", where the difference 0 is information.

    Raises:
        UserError: no prompt has two responses with different rewards.
    """
    order = np.argsort(examples.groups, kind="stable")
    starts = np.flatnonzero(np.diff(examples.groups[order], prepend=examples.groups[order[0]] - 1))
    found: list[tuple[int, int]] = []
    for rows in np.split(order, starts[1:]):
        found.extend(_pairs_of_group(rows, examples.rewards[rows], pairing))
    if not found:
        raise UserError("No prompt has two responses with different rewards: there are no pairs to train on.")
    return np.array(found, dtype=np.int64)


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
