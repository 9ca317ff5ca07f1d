"""Measures with one number per training seed: a method's mean, and the difference of two methods."""

import math
from collections.abc import Sequence

import numpy as np

from rpo_bench.stats.arrays import Floats
from rpo_bench.stats.contrast import Contrast
from rpo_bench.stats.interval import SEED_LEVELS, Interval, empty, made, point_only
from rpo_bench.stats.quantiles import detectable, student_p, t_quantile


def mean_over_seeds(values: Floats, *, level: float = 0.95) -> Interval:
    """The mean of one number per training seed, (S,), with its t-interval; for corpus-level metrics."""
    scored = values[np.isfinite(values)]
    n = len(scored)
    if n == 0:
        return empty(level)
    point = float(scored.mean())
    if n == 1 or scored.min() == scored.max():  # no variation is no certainty
        return point_only(point, n, level)
    half = t_quantile(level, n - 1) * float(scored.std(ddof=1)) / math.sqrt(n)
    return made((point - half, point, point + half), n=n, level=level, method="t", levels=SEED_LEVELS[:1])


def mean_of_checkpoints(own: Sequence[Interval], *, level: float = 0.95) -> Interval:
    """The mean over training seeds of what each has one number and an interval over prompts for.

    Seeds share their prompts, so that averaging them takes off nothing of the prompts' part: the interval has
    the half-width √(a² + b²), a being Student's over the seeds and b the checkpoints' own in the mean. It is
    somewhat too wide, for a has a part of b's noise. Without intervals of their own it covers seeds alone.

    Args:
        own: Of each seed, as in its record; those without a point are left out.
        level: Nominal coverage, as of the records.
    """
    known = [one for one in own if one.point is not None]
    found = mean_over_seeds(np.array([one.point for one in known], dtype=np.float64), level=level)
    halves = [(one.high - one.low) / 2 for one in known if one.low is not None and one.high is not None]
    if len(known) < 2 or len(halves) < len(known) or found.point is None:
        return known[0] if len(known) == 1 else found
    over_seeds = 0.0 if found.low is None else found.point - found.low
    half = math.hypot(over_seeds, math.sqrt(float(np.mean(np.square(halves)))))
    levels = tuple(dict.fromkeys([SEED_LEVELS[0], *(name for one in known for name in one.levels)]))
    bounds = (found.point - half, found.point, found.point + half)
    return made(bounds, n=len(known), level=level, method="t and the checkpoints' own", levels=levels)


def welch_difference(first: Floats, second: Floats, *, level: float = 0.95) -> Contrast:
    """mean(first) − mean(second) with Welch's interval (Biometrika 34, 1947).

    Args:
        first: One number per seed, (S_1,), NaN for none.
        second: (S_2,).
        level: Nominal coverage.
    """
    a, b = (x[np.isfinite(x)] for x in (first, second))
    if not len(a) or not len(b):
        return Contrast(empty(level))
    point, n = float(a.mean() - b.mean()), min(len(a), len(b))
    parts = [(float(x.var(ddof=1)) / len(x), len(x) - 1) for x in (a, b) if len(x) > 1]
    variance = sum(part for part, _ in parts)
    if n == 1 or variance == 0:
        return Contrast(point_only(point, n, level), p=1.0 if n > 1 and point == 0 else None)
    freedom = variance**2 / sum(part**2 / free for part, free in parts)
    error = math.sqrt(variance)
    half = t_quantile(level, freedom) * error
    interval = made(
        (point - half, point, point + half), n=n, level=level, method="welch", levels=SEED_LEVELS[:1]
    )
    return Contrast(interval, student_p(point / error, freedom), detectable(error, freedom, level=level))
