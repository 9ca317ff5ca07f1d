"""Intervals of rates over independent units."""

import math

from rpo_bench.stats.interval import PROMPT_LEVELS, Interval, empty, made
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
    successes: int, n: int, *, level: float = 0.95, levels: tuple[str, ...] = PROMPT_LEVELS
) -> Interval:
    """The share of n independent units, with Wilson's interval.

    "0 of n" and "n of n" have the one-sided bound of the rule of three instead.
    """
    if n == 0:
        return empty(level)
    if successes in (0, n):
        return at_the_edge(successes / n, n, level, (0.0, 1.0), levels)
    low, high = wilson_bounds(successes, n, level)
    return made((low, successes / n, high), n=n, level=level, method="wilson", levels=levels)


def at_the_edge(
    point: float, n: int, level: float, bounds: tuple[float, float], levels: tuple[str, ...]
) -> Interval:
    """All n units at one end of the range: not "0 ± 0", but the bound that n such units give."""
    reach = one_sided_bound(n, level) * (bounds[1] - bounds[0])
    low, high = (point, point + reach) if point == bounds[0] else (point - reach, point)
    return made((low, point, high), n=n, level=level, method="rule-of-three", levels=levels)
