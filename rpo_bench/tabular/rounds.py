"""Offline methods in rounds on a tabular problem: each round is logged by the policy that the last one left.

A policy that logs has probabilities in multiples of 1/GRAIN; the reference of ``reference=previous`` is that
policy.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rpo_bench.stats.arrays import Floats
from rpo_bench.tabular.fixed_point import FixedPoint, fixed_point
from rpo_bench.tabular.logged import Sampling, cells
from rpo_bench.tabular.world import GRAIN, World
from trainers.examples import Examples
from trainers.objective import OfflineMethod
from trainers.prepare import check_needs, prepare_rows
from trainers.rounds import in_rounds

#: (world, sampling, number of the round) → rows that the world's behaviour policy wrote.
Logger = Callable[[World, Sampling, int], Examples]


def end_of_rounds(
    method: OfflineMethod, world: World, sampling: Sampling, first: Examples, log: Logger
) -> tuple[FixedPoint, tuple[float, float]]:
    """Trains to the fixed point in every round.

    Args:
        method: with ``rounds`` above 0.
        world: the tabular problem.
        sampling: how each round is logged.
        first: the rows of the first round, logged by π_ref.
        log: makes the rows of the later rounds.

    Returns:
        The policy of the last round, and the mean and deviation that scaled all rewards.
    """
    learner, writer, scale = in_rounds(method), world.reference_counts, None
    rows_of_round = first
    for index in range(method.rounds):
        written = dataclasses.replace(world, behaviour_counts=writer)
        if index:
            rows_of_round = log(written, dataclasses.replace(sampling, off_policy=True), index)
        around, examples = written, rows_of_round
        if method.reference == "previous":
            around = dataclasses.replace(written, reference_counts=writer)
            sd = 1.0 if scale is None else scale[1]  # in the first round nothing has moved
            moved = method.strength * sd * (around.log_reference - world.log_reference)
            examples = dataclasses.replace(examples, rewards=examples.rewards - moved[cells(examples)])
        check_needs(learner, examples)
        rows = prepare_rows(learner, examples, around.log_reference[cells(examples)], scale)
        scale = (rows.reward_mean, rows.reward_sd)
        end = fixed_point(learner, rows, around)
        writer = _counts(end.logps)
    assert scale is not None
    return end, scale


def _counts(logps: Floats) -> NDArray[np.int64]:
    """A policy in units of 1/GRAIN, none zero: the nearest that adds up; (X, Y)."""
    shares = np.exp(logps) * (GRAIN - logps.shape[1])
    counts: NDArray[np.int64] = 1 + np.floor(shares).astype(np.int64)
    for row, share in zip(counts, shares, strict=True):
        rest = GRAIN - row.sum()
        row[np.argsort(-(share - np.floor(share)), kind="stable")[:rest]] += 1
    return counts
