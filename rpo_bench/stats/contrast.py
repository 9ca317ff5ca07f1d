"""A signed sum of methods' means: the estimate, its interval, its p-value and what it could have found."""

import math
from dataclasses import dataclass, replace

import numpy as np

from rpo_bench.stats.arrays import Floats
from rpo_bench.stats.interval import PROMPT_LEVELS, Interval, made, point_only, rounded
from rpo_bench.stats.layout import Spread, stretch
from rpo_bench.stats.quantiles import detectable, percentile_bounds, student_p

_JUMP = 4.0  # times the variance of the resamples: more is no variance but a jump

#: Significant digits: the same numbers on every machine, whatever order it sums in.
_DIGITS = 9

_ROUNDING = 1e-9  # what equal numbers, and their influences, differ by after summing


@dataclass(frozen=True)
class Contrast:
    """An estimate and what it is worth.

    Attributes:
        interval: With its levels; without bounds where they can't be had.
        p: Two-sided, of the hypothesis that it is 0, by Student's t; None where it can't be had.
        detectable: The true value that would be found at p ≤ 1 − level with a power of 80 %.
        error: The standard error of the estimate; None where there is none.
        freedom: Degrees of freedom of that error.
    """

    interval: Interval
    p: float | None = None
    detectable: float | None = None
    error: float | None = None
    freedom: float = math.inf

    def widened(self, below: float, above: float) -> "Contrast":
        """The same where the true value may lie so much below or above the estimate, whatever the sample."""
        point, low, high = self.interval.point, self.interval.low, self.interval.high
        if point is None or low is None or high is None or self.error is None or self.detectable is None:
            return self
        nearest = min(max(0.0, point - below), point + above)  # to 0
        ends = {"low": rounded(low - below, _DIGITS), "high": rounded(high + above, _DIGITS)}
        return replace(
            self,
            interval=self.interval.model_copy(update=ends),
            p=student_p(nearest / self.error, self.freedom),
            detectable=self.detectable + max(below, above),
        )


def contrast_of(
    point: float, spread: Spread, draws: Floats, n: int, levels: tuple[str, ...], level: float
) -> Contrast:
    """An estimate's contrast, shaped by its resamples and as wide as its variance and Student's t say.

    Args:
        point: The estimate.
        spread: Its variance by the layout of seeds and prompts.
        draws: The resamples, (R,).
        n: Independent units.
        levels: The randomness covered.
        level: Nominal coverage.
    """
    spread = _bounded(spread, draws, n)
    scale = max(1.0, abs(point))
    if spread.variance <= (_ROUNDING * scale) ** 2 or np.isnan(draws).all():
        # No variation is no certainty, unless the two are one and the same.
        return Contrast(point_only(point, n, level), p=1.0 if abs(point) <= _ROUNDING else None)
    low, high = percentile_bounds(draws, point, level, stretch(spread, draws, level))
    interval = made(
        (low, point, high),
        n=n,
        level=level,
        method="bootstrap" if levels == PROMPT_LEVELS else "two-level bootstrap",
        levels=levels,
        resamples=len(draws),
        digits=_DIGITS,
    )
    error = math.sqrt(spread.variance)
    p, found = student_p(point / error, spread.freedom), detectable(error, spread.freedom, level=level)
    return Contrast(interval, p, found, error, spread.freedom)


def _bounded(spread: Spread, draws: Floats, n: int) -> Spread:
    """The variance by influences, unless the function jumps.

    Where two strengths change places at the end of a frontier, say, its value jumps between them: an
    infinitesimal weight then seems to move it without bounds. The resamples, which see both values, tell the
    variance instead, with the few seeds' share made good.
    """
    known = draws[np.isfinite(draws)]
    if n < 2 or len(known) < 2:
        return spread
    seen = float(np.var(known)) * n / (n - 1)
    return spread if spread.variance <= _JUMP * seen or seen == 0.0 else Spread(seen, float(n - 1))
