"""How often a training run of one method beats a run of another."""

import math
from collections.abc import Sequence

import numpy as np

from rpo_bench.stats.aggregates import probability_of_improvement, stratified_draws
from rpo_bench.stats.arrays import Floats
from rpo_bench.stats.interval import SEED_LEVELS, Interval, empty, made, point_only
from rpo_bench.stats.joint import Joint, Term
from rpo_bench.stats.quantiles import normal_quantile, percentile_bounds, t_quantile

RESAMPLES = 5_000


def improvement(first: Floats, second: Floats, rng: np.random.Generator, level: float = 0.95) -> Interval:
    """P(a run of the first beats one of the second), with a stratified bootstrap over runs.

    Args:
        first: Scores by run and task, (S_1, T).
        second: The other's, (S_2, T).
        rng: The generator.
        level: Nominal coverage.
    """
    if min(len(first), len(second)) < 2:
        return empty(level)
    return _over_runs(first, second, stratified_draws([first, second], rng, RESAMPLES), level)


def improvement_at(first: Term, second: Term, joint: Joint, level: float = 0.95) -> Interval:
    """The same on one task, over training seeds and prompts: both are resampled as in ``Joint.contrast``.

    Args:
        first: One method, a number per run.
        second: The other.
        joint: The resamples that both share.
        level: Nominal coverage.
    """
    a, b = first.measured(), second.measured()
    counts = len(a.seeds), len(b.seeds)
    if min(counts) < 2:
        return empty(level)
    drawn = 1 + joint.prompts
    wins = (np.sign(a.values[drawn:, :, None] - b.values[drawn:, None, :]) + 1) / 2  # (R, S_1, S_2)
    draws = np.einsum("rij,ri,rj->r", wins, joint.seeds(a.label, counts[0]), joint.seeds(b.label, counts[1]))
    point = float(probability_of_improvement(a.seeds[:, None], b.seeds[:, None]))
    return _told(point, draws, counts, level, SEED_LEVELS)


def _over_runs(first: Floats, second: Floats, draws: Sequence[Floats], level: float) -> Interval:
    point = float(probability_of_improvement(first, second))
    counts = len(first), len(second)
    return _told(point, probability_of_improvement(*draws), counts, level, SEED_LEVELS[:1], first.shape[1])


def _told(
    point: float,
    draws: Floats,
    counts: tuple[int, int],
    level: float,
    levels: tuple[str, ...],
    tasks: int = 1,
) -> Interval:
    n = min(counts)
    low, high = percentile_bounds(draws, point, level, _widening(counts, tasks, level))
    if low == high:  # runs too few to overlap at all say nothing of how often they would
        return point_only(point, n, level)
    return made(
        (low, point, high),
        n=n,
        level=level,
        method="stratified bootstrap" if levels == SEED_LEVELS[:1] else "two-level bootstrap",
        levels=levels,
        resamples=len(draws),
        within=(0.0, 1.0),
    )


def _widening(counts: tuple[int, int], tasks: int, level: float) -> float:
    """As ``quantiles.widening``, for two sets of runs on each of some tasks: 1.7 for three runs each."""
    fewest, freedom = min(counts), tasks * (sum(counts) - 2)
    return math.sqrt(fewest / (fewest - 1)) * t_quantile(level, freedom) / normal_quantile(level)


def turned(one: Interval) -> Interval:
    """The probability that the second beats the first."""
    point = None if one.point is None else round(1 - one.point, 12)
    low = None if one.high is None else round(1 - one.high, 12)
    high = None if one.low is None else round(1 - one.low, 12)
    return one.model_copy(update={"point": point, "low": low, "high": high})


def separated(first: int, second: int, level: float = 0.95) -> bool:
    """Whether so many runs of each, none of which overlap, are more than chance (exact permutation test)."""
    return 2 / math.comb(first + second, first) <= 1 - level
