"""The batch plan: the batches of the whole training, made up front from (rows, seed)."""

import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

#: How rows come into a batch. "by_length" is what version 0.1 did: see :func:`plan_batches_by_length`.
Batching = Literal["uniform", "by_length"]

_BUCKET = 8  # batches that "by_length" sorts together


@dataclass(frozen=True)
class BatchPlan:
    """Which rows each optimiser step sees.

    Attributes:
        batches: row indices; (S, B).
        partners: row whose *response* step s pairs with the prompt of ``batches[s, b]`` where a method asks
            for mismatched pairs; within a step, the partners are a permutation of the batch; (S, B).
    """

    batches: NDArray[np.int64]
    partners: NDArray[np.int64]

    @property
    def hash(self) -> str:
        """SHA-256 of the plan: equal for all methods that train on the same rows at the same seed."""
        return hashlib.sha256(self.batches.tobytes() + self.partners.tobytes()).hexdigest()


def plan_batches(groups: NDArray[np.int64], steps: int, batch_size: int, seed: int) -> BatchPlan:
    """Draws each batch at random, without replacement within an epoch, whatever the rows hold.

    Args:
        groups: the prompt that each row belongs to; (N,).
        steps: S, optimiser steps.
        batch_size: B, rows per step; at most N are used.
        seed: of a private generator, so that nothing else that is random can shift the plan.
    """
    order, _ = _shuffled(len(groups), steps, batch_size, seed)
    return _plan(order, groups)


def plan_batches_by_length(
    lengths: NDArray[np.int64], groups: NDArray[np.int64], steps: int, batch_size: int, seed: int
) -> BatchPlan:
    """The plan of version 0.1, which puts rows of similar length into one batch.

    It saves padding and biases the training: the mean length of a batch varies many times as much as that of
    a random draw, so that clipping shrinks the steps of long batches or of short ones. It is kept so that the
    records of that version can be made again and the bias be measured.

    Args:
        lengths: tokens of each row; (N,).
        groups: the prompt that each row belongs to; (N,).
        steps: S, optimiser steps.
        batch_size: B, rows per step; at most N are used.
        seed: of a private generator.
    """
    batches, rng = _shuffled(len(groups), steps, batch_size, seed)
    order, size = batches.ravel(), batches.shape[1]
    bucket_rows = size * min(_BUCKET, len(groups) // size)  # of one epoch at most
    for start in range(0, len(order), bucket_rows):
        bucket = order[start : start + bucket_rows]
        bucket = bucket[np.argsort(lengths[bucket], kind="stable")].reshape(-1, size)
        order[start : start + bucket.size] = bucket[rng.permutation(len(bucket))].ravel()
    return _plan(order.reshape(steps, size), groups)


def _shuffled(
    rows: int, steps: int, batch_size: int, seed: int
) -> tuple[NDArray[np.int64], np.random.Generator]:
    """Epoch after epoch in a random order, cut into batches, (S, B); and the generator as it is then."""
    rng = np.random.default_rng([seed, 0xBA7C])
    size = min(batch_size, rows)
    epochs = -(-steps * size // rows)
    order = np.concatenate([rng.permutation(rows) for _ in range(epochs)])[: steps * size]
    return order.reshape(steps, size), rng


def _plan(batches: NDArray[np.int64], groups: NDArray[np.int64]) -> BatchPlan:
    return BatchPlan(batches, np.stack([_mismatched(batch, groups) for batch in batches]))


def _mismatched(batch: NDArray[np.int64], groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """The batch rotated by the smallest offset that pairs the fewest prompts with their own responses."""
    own = groups[batch]
    best, fewest = 1, len(batch) + 1
    for offset in range(1, len(batch)):
        clashes = int((np.roll(own, -offset) == own).sum())
        if clashes < fewest:
            best, fewest = offset, clashes
        if clashes == 0:
            break
    return np.roll(batch, -best)
