"""The batch plan: the batches of the whole training, made up front from (rows, seed)."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainers.errors import UserError

_BUCKET = 8  # batches sorted by length together: evens out padding, keeps the order random


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


def plan_batches(
    lengths: NDArray[np.int64], groups: NDArray[np.int64], steps: int, batch_size: int, seed: int
) -> BatchPlan:
    """Shuffles epoch after epoch, and puts rows of similar length into the same batch.

    Args:
        lengths: tokens of each row; (N,).
        groups: the prompt that each row belongs to; (N,).
        steps: S, optimiser steps.
        batch_size: B, rows per step; at most N are used.
        seed: of a private generator, so that nothing else that is random can shift the plan.
    """
    rows = len(lengths)
    if rows < 2:
        raise UserError(f"Training needs at least two rows; there is {rows}.")
    rng = np.random.default_rng([seed, 0xBA7C])
    size = min(batch_size, rows)
    epochs = -(-steps * size // rows)
    order = np.concatenate([rng.permutation(rows) for _ in range(epochs)])[: steps * size]
    bucket_rows = size * min(_BUCKET, rows // size)  # of one epoch at most: a batch rarely repeats a row
    for start in range(0, len(order), bucket_rows):
        bucket = order[start : start + bucket_rows]
        bucket = bucket[np.argsort(lengths[bucket], kind="stable")].reshape(-1, size)
        order[start : start + bucket.size] = bucket[rng.permutation(len(bucket))].ravel()
    batches = order.reshape(steps, size)
    partners = np.stack([_mismatched(batch, groups) for batch in batches])
    return BatchPlan(batches, partners)


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


def padded_share(lengths: NDArray[np.int64], plan: BatchPlan) -> float:
    """Token efficiency: real tokens over tokens computed when each batch is padded to its longest row."""
    planned = lengths[plan.batches]  # (S, B)
    return float(planned.sum() / (planned.max(axis=1) * planned.shape[1]).sum())
