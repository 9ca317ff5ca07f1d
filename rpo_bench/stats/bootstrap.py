"""The bootstrap over prompts: prompts are drawn with replacement, with all of their samples."""

from collections.abc import Iterator

import numpy as np

from rpo_bench.stats.arrays import Floats
from rpo_bench.stats.interval import PROMPT_LEVELS, Interval, empty, made, point_only
from rpo_bench.stats.quantiles import percentile_bounds, widening
from rpo_bench.stats.rates import at_the_edge

RESAMPLES = 10_000

#: Numbers in a chunk of weights: 32 MiB of float64.
_CHUNK = 2**22


def weight_chunks(units: int, rng: np.random.Generator, resamples: int) -> Iterator[Floats]:
    """Yields how often each unit is drawn in each resample, in chunks (b, units) that fit in memory.

    The b of all chunks add up to ``resamples``; every row adds up to ``units``.
    """
    rows = max(1, _CHUNK // units)
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        drawn = rng.integers(0, units, (size, units))  # (b, units)
        drawn += units * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * units)
        yield counts.reshape(size, units).astype(np.float64)


def bootstrap_means(columns: Floats, rng: np.random.Generator, resamples: int = RESAMPLES) -> Floats:
    """Means of each column under resampled rows; the same rows for all columns.

    Args:
        columns: (P, M), NaN where a prompt has no score.
        rng: The generator.
        resamples: B.

    Returns:
        (B, M), NaN where a resample has no score in a column.
    """
    scored = np.isfinite(columns)
    values = np.where(scored, columns, 0.0)  # (P, M)
    draws = []
    with np.errstate(invalid="ignore"):
        for weights in weight_chunks(len(columns), rng, resamples):
            draws.append((weights @ values) / (weights @ scored.astype(np.float64)))
    return np.concatenate(draws)


def prompt_means(values: Floats) -> Floats:
    """The mean of each prompt's scored samples; (P, n) with NaN for unscored → (P,), NaN without any."""
    scored = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        means: Floats = np.where(scored, values, 0.0).sum(1) / scored.sum(1)
    return means


def mean_over_prompts(
    values: Floats,
    rng: np.random.Generator,
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    bounds: tuple[float, float] | None = None,
) -> Interval:
    """The mean of samples within prompts, then over prompts, with a bootstrap interval over prompts.

    Args:
        values: (P, n), NaN for unscored; a (P,) array counts as one sample each.
        rng: The generator.
        level: Nominal coverage.
        resamples: Number of resamples.
        bounds: The range of the values, where they have one: (0, 1) for shares.
    """
    table = values[:, None] if values.ndim == 1 else values
    return intervals(prompt_means(table)[:, None], rng, level=level, resamples=resamples, bounds=[bounds])[0]


def intervals(
    columns: Floats,
    rng: np.random.Generator,
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    bounds: list[tuple[float, float] | None] | None = None,
    levels: tuple[str, ...] = PROMPT_LEVELS,
) -> list[Interval]:
    """Bootstrap intervals of the means of M columns, from one set of resamples.

    Each column is sorted first, so that the order of the rows changes nothing. Columns are therefore
    not resampled jointly: the intervals are marginal.

    Args:
        columns: (P, M), NaN where a prompt has no score.
        rng: The generator.
        level: Nominal coverage.
        resamples: Number of resamples.
        bounds: Of each column's values, or None where there are none.
        levels: The randomness covered.
    """
    if columns.size == 0:
        return [empty(level)] * columns.shape[1]
    ordered = np.sort(columns, axis=0)  # NaN last
    draws = bootstrap_means(ordered, rng, resamples)
    ranges = bounds or [None] * columns.shape[1]
    found = []
    for column, drawn, bound in zip(ordered.T, draws.T, ranges, strict=True):
        scored = column[np.isfinite(column)]
        found.append(_interval(scored, drawn, level, resamples, bound, levels))
    return found


def _interval(
    scored: Floats,
    draws: Floats,
    level: float,
    resamples: int,
    bounds: tuple[float, float] | None,
    levels: tuple[str, ...],
) -> Interval:
    """From the scored prompts' means (P,) and their bootstrap draws (B,)."""
    n = len(scored)
    if n == 0:
        return empty(level)
    point = float(scored.mean())
    if n == 1:
        return point_only(point, 1, level)
    if bounds is not None and scored.min() == scored.max() in bounds:
        return at_the_edge(point, n, level, bounds, levels)
    if scored.min() == scored.max():  # no variation is no certainty
        return point_only(point, n, level)
    low, high = percentile_bounds(draws, point, level, widening(n, level))
    return made(
        (low, point, high),
        n=n,
        level=level,
        method="bootstrap",
        levels=levels,
        resamples=resamples,
        within=bounds,
    )
