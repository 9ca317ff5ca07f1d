"""Aggregates over tasks: interquartile mean, probability of improvement, performance profiles.

After Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice" (NeurIPS 2021).
Scores of different tasks are put on one scale by anchors that belong to the tasks, not to the data at hand:
otherwise a method's number would change when another method is added.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rpo_bench.stats.arrays import Floats
from rpo_bench.stats.bootstrap import RESAMPLES
from rpo_bench.stats.interval import SEED_LEVELS, Interval, empty, made, point_only
from rpo_bench.stats.quantiles import normal_quantile, percentile_bounds, t_quantile

_ROUNDING = 1e-12  # what equal numbers differ by after summing, relatively


@dataclass(frozen=True)
class Anchors:
    """Two scores of a task that are called 0 and 1, such as the reference policy's and the oracle's."""

    zero: float
    one: float

    def __post_init__(self) -> None:
        if not np.isfinite([self.zero, self.one]).all() or self.zero == self.one:
            raise ValueError(f"anchors must be two different numbers, not {self.zero} and {self.one}")

    def normalise(self, scores: Floats) -> Floats:
        """Scores, of any shape, on the anchors' scale; below 0 and above 1 are possible."""
        return np.asarray((scores - self.zero) / (self.one - self.zero))


def interquartile_mean(scores: Floats) -> Floats:
    """The mean of the middle half of the last axis, (..., N) → (...); NaN where there is no score.

    It is the 25 % trimmed mean: with N not divisible by 4 the scores at the edges count in part, so that it
    moves smoothly and one score is its own mean. Unscored (NaN) are left out.
    """
    ordered = np.sort(scores, axis=-1)  # NaN last
    count = np.isfinite(scores).sum(-1, keepdims=True)
    place = np.arange(scores.shape[-1])
    low, high = count / 4, 3 * count / 4
    weights = np.clip(
        np.minimum(place + 1, high) - np.maximum(place, low), 0, None
    )  # overlap with [low, high]
    with np.errstate(invalid="ignore"):
        total: Floats = np.where(weights > 0, weights * np.where(np.isfinite(ordered), ordered, 0), 0).sum(-1)
        return np.asarray(total / weights.sum(-1))


def probability_of_improvement(first: Floats, second: Floats) -> Floats:
    """P(X > Y) + ½ P(X = Y) for a run of each, averaged over tasks (Mann–Whitney's U over S_1 S_2).

    Args:
        first: (..., S_1, T) by run and task.
        second: (..., S_2, T).

    Returns:
        (...).
    """
    gap = first[..., :, None, :] - second[..., None, :, :]  # (..., S_1, S_2, T)
    return np.asarray(((np.sign(gap) + 1) / 2).mean(axis=(-3, -2, -1)))


def performance_profile(scores: Floats, thresholds: Floats) -> Floats:
    """The share of runs whose normalised score is above each threshold, averaged over tasks.

    Args:
        scores: On the anchors' scale, (..., S, T).
        thresholds: (Q,).

    Returns:
        (..., Q), falling from 1 to 0.
    """
    above = scores[..., None] > thresholds  # (..., S, T, Q)
    return np.asarray(above.mean(axis=(-3, -2)))


def stratified_draws(scores: Sequence[Floats], rng: np.random.Generator, resamples: int) -> list[Floats]:
    """Resamples the runs of each method within each task, (S_m, T) → (B, S_m, T) each."""
    found = []
    for table in scores:
        runs, tasks = table.shape
        drawn = rng.integers(0, runs, (resamples, runs, tasks))
        found.append(np.take_along_axis(table[None], drawn, axis=1))
    return found


def aggregate_interval(
    scores: Floats,
    statistic: Callable[[Floats], Floats],
    rng: np.random.Generator,
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
) -> Interval:
    """An aggregate over tasks with a stratified bootstrap over runs, widened for few of them.

    Args:
        scores: Normalised, (S, T) by run and task.
        statistic: (..., S, T) → (...), such as the interquartile mean over both.
        rng: The generator.
        level: Nominal coverage.
        resamples: Number of resamples.
    """
    runs, tasks = scores.shape
    if not np.isfinite(scores).all() or scores.size == 0:
        return empty(level)
    point = float(statistic(scores))
    if runs == 1:
        return point_only(point, 1, level)
    draws = statistic(stratified_draws([scores], rng, resamples)[0])
    # As ``quantiles.widening``, with the runs of every task adding to the degrees of freedom.
    student = t_quantile(level, tasks * (runs - 1)) / normal_quantile(level)
    if np.ptp(draws) <= _ROUNDING * abs(point):  # no variation is no certainty
        return point_only(point, runs, level)
    low, high = percentile_bounds(draws, point, level, math.sqrt(runs / (runs - 1)) * student)
    return made(
        (low, point, high),
        n=runs,
        level=level,
        method="stratified bootstrap",
        levels=SEED_LEVELS[:1],
        resamples=resamples,
    )


def iqm(scores: Floats) -> Floats:
    """The interquartile mean over runs and tasks together, (..., S, T) → (...)."""
    return interquartile_mean(scores.reshape(*scores.shape[:-2], -1))
