"""Intervals as they are published."""

from pydantic import Field

from rpo_bench.spec.settings import Frozen

#: Significant digits: fewer than float64 has, so that the order of a sum doesn't show.
DIGITS = 12

#: The randomness that intervals cover, as ``Interval.levels`` names it.
PROMPT_LEVELS = ("prompts", "generation")
SEED_LEVELS = ("training seeds", *PROMPT_LEVELS)
QUESTION_LEVELS = ("questions",)
#: Where one of the methods has a single seed.
SOME_SEEDS = ("training seeds where there are several", *PROMPT_LEVELS)


class Interval(Frozen):
    """An estimate with its uncertainty.

    ``low`` and ``high`` are None where an interval can't be had (one prompt, say), never made up;
    ``point`` is None where nothing could be scored.
    """

    point: float | None
    low: float | None = None
    high: float | None = None
    level: float = 0.95
    method: str = Field(description="bootstrap, wilson, rule-of-three, exact, none")
    levels: tuple[str, ...] = Field((), description="the randomness covered: prompts, training seeds …")
    n: int = Field(ge=0, description="independent units (prompts, or seeds)")
    resamples: int | None = None


def empty(level: float = 0.95) -> Interval:
    """The interval of something that nothing could be said of."""
    return Interval(point=None, level=level, method="none", n=0)


def point_only(point: float, n: int, level: float) -> Interval:
    """An estimate whose uncertainty can't be told."""
    return Interval(point=rounded(point), level=level, method="none", n=n)


def negated(one: Interval) -> Interval:
    """The interval of the same quantity with the other sign."""
    point = None if one.point is None else -one.point
    low, high = None if one.high is None else -one.high, None if one.low is None else -one.low
    return one.model_copy(update={"point": point, "low": low, "high": high})


def made(
    bounds: tuple[float, float, float],
    *,
    n: int,
    level: float,
    method: str,
    levels: tuple[str, ...],
    resamples: int | None = None,
    within: tuple[float, float] | None = None,
    digits: int = DIGITS,
) -> Interval:
    """An interval from (low, point, high).

    Args:
        bounds: Its low end, the estimate, its high end.
        n: Independent units.
        level: Nominal coverage.
        method: How it was made.
        levels: The randomness covered.
        resamples: Of a bootstrap.
        within: The range that it is cut to.
        digits: Significant ones that are kept.
    """
    low, point, high = bounds
    if within is not None:
        low, high = max(low, within[0]), min(high, within[1])
    return Interval(
        point=rounded(point, digits),
        low=rounded(low, digits),
        high=rounded(high, digits),
        level=level,
        method=method,
        levels=levels,
        n=n,
        resamples=resamples,
    )


def rounded(value: float, digits: int = DIGITS) -> float:
    """A number with so many significant digits."""
    return float(f"{value:.{digits}g}")
