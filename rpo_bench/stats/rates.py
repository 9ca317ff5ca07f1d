"""Intervals of rates over independent units."""

import math

from rpo_bench.results.schema import Interval
from rpo_bench.stats.quantiles import normal_quantile


def one_sided_bound(n: int, level: float = 0.95) -> float:
    """The rate that "0 of n" rules out: 1 − (1−level)^(1/n), about 3/n at 95 % (the rule of three)."""
    return 1.0 - float((1 - level) ** (1 / n))


def wilson_bounds(successes: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval (JASA 22, 1927) of ``successes`` out of n."""
    z = normal_quantile(level)
    rate = successes / n
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return centre - half, centre + half


def rate_interval(
    successes: int, n: int, *, level: float = 0.95, levels: tuple[str, ...] = ("prompts", "generation")
) -> Interval:
    """The share of n independent units, with Wilson's interval.

    "0 of n" and "n of n" have the one-sided bound of the rule of three instead.
    """
    if n == 0:
        return Interval(point=None, level=level, method="none", n=0)
    rate = successes / n
    if successes in (0, n):
        reach = one_sided_bound(n, level)
        low, high = (0.0, reach) if successes == 0 else (1 - reach, 1.0)
        method = "rule-of-three"
    else:
        low, high = wilson_bounds(successes, n, level)
        method = "wilson"
    return Interval(point=rate, low=low, high=high, level=level, method=method, levels=levels, n=n)
