"""Two methods by one number per training seed: Welch's t."""

import math

import numpy as np

from rpo_bench.stats.arrays import Floats
from rpo_bench.stats.compare import SEED_LEVELS
from rpo_bench.stats.interval import empty, made, point_only
from rpo_bench.stats.joint import Contrast, student_p
from rpo_bench.stats.power import detectable
from rpo_bench.stats.quantiles import t_quantile


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
