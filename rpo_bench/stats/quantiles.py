"""Quantiles of the normal and t distributions, and how far they widen an interval from few units."""

import math
from statistics import NormalDist

import numpy as np

from rpo_bench.stats.arrays import Floats


def normal_quantile(level: float) -> float:
    """The half-width, in standard deviations, of a two-sided normal interval at ``level``."""
    return NormalDist().inv_cdf(0.5 + level / 2)


def t_quantile(level: float, freedom: float) -> float:
    """The same for Student's t with ``freedom`` degrees of freedom (need not be whole)."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.5 + level / 2))


def widening(n: int, level: float) -> float:
    """By how much a bootstrap interval from n units is too narrow.

    Resampling n units understates a variance by (n−1)/n, and the normal quantile ignores that the variance
    is itself estimated; so √(n/(n−1)) · t/z (Hesterberg, The American Statistician 69, 2015, section 5).
    It is 1.01 at n = 128, 1.31 at n = 8 and 2.69 at n = 3.
    """
    return math.sqrt(n / (n - 1)) * t_quantile(level, n - 1) / normal_quantile(level)


def percentile_bounds(draws: Floats, point: float, level: float, factor: float = 1.0) -> tuple[float, float]:
    """The central ``level`` of bootstrap draws (B,), each side stretched from ``point`` by ``factor``.

    NaN draws (resamples in which nothing was scored) are left out.
    """
    tail = (1 - level) / 2
    low, high = np.nanquantile(draws, (tail, 1 - tail))
    return float(point - factor * (point - low)), float(point + factor * (high - point))
