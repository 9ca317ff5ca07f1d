"""The jackknife over prompts, for functions of a whole corpus that repeating a prompt would distort.

A bootstrap resample holds some prompts several times, and repeated text is less diverse by construction:
percentiles of such resamples don't even contain the estimate. Leaving each prompt out once doesn't repeat
anything.
"""

import math

import numpy as np

from rpo_bench.stats.arrays import Floats
from rpo_bench.stats.interval import PROMPT_LEVELS, Interval, empty, made, point_only
from rpo_bench.stats.quantiles import t_quantile
from rpo_bench.stats.rates import at_the_edge

_ROUNDING = 1e-12  # what estimates that are equal differ by, relatively


def standard_error(left_out: Floats) -> float:
    """√((P−1)/P · Σ (T_(i) − mean)²) from the estimates without each prompt, (P,) (Tukey 1958)."""
    count = len(left_out)
    return math.sqrt((count - 1) / count * float(np.square(left_out - left_out.mean()).sum()))


def jackknife_interval(
    point: float,
    left_out: Floats,
    *,
    level: float = 0.95,
    bounds: tuple[float, float] | None = None,
) -> Interval:
    """An estimate with its t-interval from the jackknife.

    Args:
        point: The estimate on all P prompts.
        left_out: The estimate without each of them, (P,); NaN where it can't be had.
        level: Nominal coverage.
        bounds: The range that the interval is cut to.
    """
    count = len(left_out)
    if not math.isfinite(point):
        return empty(level)
    if count < 2 or not np.isfinite(left_out).all():
        return point_only(point, count, level)
    error = standard_error(left_out)
    if bounds is not None and point in bounds and error == 0:
        return at_the_edge(point, count, level, bounds, PROMPT_LEVELS)
    if error <= _ROUNDING * abs(point):  # no variation is no certainty
        return point_only(point, count, level)
    half = t_quantile(level, count - 1) * error
    return made(
        (point - half, point, point + half),
        n=count,
        level=level,
        method="jackknife",
        levels=PROMPT_LEVELS,
        within=bounds,
    )
