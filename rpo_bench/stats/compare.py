"""Paired differences of two checkpoints, and means and differences of methods over training seeds."""

import math
from collections.abc import Sequence

import numpy as np

from rpo_bench.stats.arrays import Floats
from rpo_bench.stats.bootstrap import RESAMPLES, mean_over_prompts, weight_chunks
from rpo_bench.stats.interval import Interval, empty, made, point_only
from rpo_bench.stats.layout import Spread, contrast_spread
from rpo_bench.stats.quantiles import normal_quantile, percentile_bounds, t_quantile
from rpo_bench.stats.rates import PROMPT_LEVELS, at_the_edge

SEED_LEVELS = ("training seeds", "prompts", "generation")

_ROUNDING = 1e-12  # what equal numbers differ by after summing


def paired_difference(
    first: Floats,
    second: Floats,
    rng: np.random.Generator,
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
) -> Interval:
    """first − second on the prompts that both have a score for, with a bootstrap over those prompts.

    Args:
        first: One checkpoint's mean per prompt, (P,), NaN for unscored.
        second: The other's on the same prompts, (P,).
        rng: The generator.
        level: Nominal coverage.
        resamples: Number of resamples.
    """
    return mean_over_prompts(first - second, rng, level=level, resamples=resamples)


def two_level_bootstrap(
    scores: Sequence[Floats], rng: np.random.Generator, resamples: int = RESAMPLES
) -> Floats:
    """Bootstrap draws of each method's mean over its training seeds and the prompts.

    In every resample the prompts are drawn once, for all methods; the seeds are drawn within each method.

    Args:
        scores: M arrays (S_m, P), one row per training seed, on the same prompts in the same order; NaN for
            unscored.
        rng: The generator.
        resamples: B.

    Returns:
        (B, M), NaN where a resample has no score.
    """
    tables = [(np.where(np.isfinite(x), x, 0.0), np.isfinite(x).astype(np.float64)) for x in scores]
    draws = []
    with np.errstate(invalid="ignore"):
        for prompts in weight_chunks(scores[0].shape[1], rng, resamples):  # (b, P)
            columns = []
            for values, scored in tables:
                seeds = np.concatenate(list(weight_chunks(len(values), rng, len(prompts))))  # (b, S)
                total = ((prompts @ values.T) * seeds).sum(1)
                columns.append(total / ((prompts @ scored.T) * seeds).sum(1))
            draws.append(np.stack(columns, axis=1))
    return np.concatenate(draws)


def method_mean(
    scores: Floats,
    rng: np.random.Generator,
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    bounds: tuple[float, float] | None = None,
) -> Interval:
    """A method's mean over training seeds and prompts.

    With one seed the interval covers prompts only, and says so in its ``levels``. Scores that are all equal
    have none, but at an end of their range the bound of the rule of three.

    Args:
        scores: Mean per seed and prompt, (S, P), NaN for unscored.
        rng: The generator.
        level: Nominal coverage.
        resamples: Number of resamples.
        bounds: The range of the scores, where they have one: (0, 1) for shares.
    """
    found = _contrast([scores], np.array([1.0]), rng, level, resamples)
    if bounds is None or found.point is None:
        return found
    if found.low is None or found.high is None:
        prompts, seeds = (int(np.isfinite(scores).any(axis).sum()) for axis in (0, 1))
        if found.point not in bounds or prompts == 1:
            return found
        levels = SEED_LEVELS if seeds > 1 else PROMPT_LEVELS
        return at_the_edge(found.point, prompts, level, bounds, levels)
    cut = {"low": max(found.low, bounds[0]), "high": min(found.high, bounds[1])}
    return found.model_copy(update=cut)


def method_difference(
    first: Floats,
    second: Floats,
    rng: np.random.Generator,
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
) -> Interval:
    """The difference first − second of two methods' means: prompts shared, seeds resampled in each.

    Args:
        first: Mean per seed and prompt of one method, (S_1, P), NaN for unscored.
        second: Of the other on the same prompts, (S_2, P).
        rng: The generator.
        level: Nominal coverage.
        resamples: Number of resamples.
    """
    return _contrast([first, second], np.array([1.0, -1.0]), rng, level, resamples)


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


def _contrast(
    scores: list[Floats],
    signs: Floats,
    rng: np.random.Generator,
    level: float,
    resamples: int,
) -> Interval:
    """Σ sign_m · mean_m of M methods (S_m, P) on the prompts that all of them have a score for."""
    shared = np.logical_and.reduce([np.isfinite(x).any(0) for x in scores])  # (P,)
    seeds = [x[np.isfinite(x[:, shared]).any(1)][:, shared] for x in scores]
    fewest = min(len(x) for x in seeds)
    if fewest == 0 or not shared.any():
        return empty(level)
    if fewest == 1:
        gap = sum(s * np.nanmean(x, axis=0) for s, x in zip(signs, seeds, strict=True))
        return mean_over_prompts(np.asarray(gap), rng, level=level, resamples=resamples)
    point = float(sum(s * np.nanmean(x) for s, x in zip(signs, seeds, strict=True)))
    if shared.sum() == 1:
        return point_only(point, fewest, level)
    draws = two_level_bootstrap(seeds, rng, resamples) @ signs  # (B,)
    if np.nanmax(draws) - np.nanmin(draws) <= _ROUNDING * max(1.0, abs(point)):
        return point_only(point, fewest, level)  # no variation is no certainty
    low, high = percentile_bounds(draws, point, level, stretch(contrast_spread(seeds, signs), draws, level))
    return made(
        (low, point, high),
        n=fewest,
        level=level,
        method="two-level bootstrap",
        levels=SEED_LEVELS,
        resamples=resamples,
    )


def stretch(spread: Spread, draws: Floats, level: float) -> float:
    """The factor that gives a two-level bootstrap interval its right width for few seeds.

    The bootstrap understates each method's seed variance by (S_m−1)/S_m, counts the noise of single cells up
    to three times (Owen, Annals of Applied Statistics 1, 2007), and takes its variance as known; so it is
    scaled to the layout's variance, and from the normal quantile to Student's.

    Args:
        spread: Of the contrast.
        draws: Its bootstrap draws, (B,).
        level: Nominal coverage.
    """
    resampled = float(np.nanvar(draws))
    if resampled == 0 or spread.variance == 0:
        return 1.0
    to_student = t_quantile(level, spread.freedom) / normal_quantile(level)
    return math.sqrt(spread.variance / resampled) * to_student
