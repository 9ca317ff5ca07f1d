"""Joint resampling of training seeds and prompts: the randomness that every interval of the board covers.

One draw of the prompts is shared by everything in a panel, and one draw of the seeds by all strengths of a
series, so that differences between methods are paired where their data are.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rpo_bench.results.schema import Interval
from rpo_bench.stats.bootstrap import PROMPT_LEVELS, weight_chunks
from rpo_bench.stats.compare import SEED_LEVELS
from rpo_bench.stats.quantiles import widening

Floats = NDArray[np.float64]

LEVEL = 0.95
_ROUNDING = 1e-12  # what resamples of equal numbers differ by


def prompt_weights(rng: np.random.Generator, prompts: int, resamples: int) -> Floats:
    """Each row: how much every prompt weighs in one resample of the prompts, (R, P); rows sum to 1."""
    return np.concatenate(list(weight_chunks(prompts, rng, resamples))) / prompts


def seed_weights(rng: np.random.Generator, seeds: int, resamples: int) -> Floats:
    """Each row: how much every training seed weighs in one resample of the seeds, (R, S); rows sum to 1.

    A plain bootstrap of few seeds is too sure of itself, so the weights' distance from 1/S is stretched by
    :func:`rpo_bench.stats.quantiles.widening`, which turns the interval of a mean over seeds into (about)
    Student's, and leaves the part of an interval that prompts account for as it is. One seed always weighs
    1: nothing can be said about others.
    """
    if seeds == 1:
        return np.ones((resamples, 1))
    drawn = np.concatenate(list(weight_chunks(seeds, rng, resamples))) / seeds
    return np.asarray(1 / seeds + widening(seeds, LEVEL) * (drawn - 1 / seeds))


def seed_means(values: Floats, weights: Floats) -> Floats:
    """Means over the prompts for every resample and seed.

    Args:
        values: A score per seed and prompt, (S, P); NaN where a prompt has none.
        weights: Of :func:`prompt_weights`, (R, P).

    Returns:
        (R, S); NaN where a resample drew only prompts without a score.
    """
    known = np.isfinite(values)
    total = weights @ np.where(known, values, 0.0).T
    with np.errstate(invalid="ignore"):
        return np.asarray(total / (weights @ known.T.astype(float)))


def interpolate(x: Floats, y: Floats, at: Floats) -> Floats:
    """Each row's y at its own place, by straight lines between its points and flat beyond its ends.

    Args:
        x: Rising along every row, (R, T).
        y: At these points, (R, T).
        at: One place for every row, (R,).

    Returns:
        (R,).
    """
    rows = np.arange(len(x))
    right = np.sum(x <= at[:, None], axis=1)
    before, after = np.clip(right - 1, 0, None), np.clip(right, None, x.shape[1] - 1)
    span = x[rows, after] - x[rows, before]
    share = np.where(span > 0, (at - x[rows, before]) / np.where(span > 0, span, 1.0), 0.0)
    return np.asarray(y[rows, before] + np.clip(share, 0, 1) * (y[rows, after] - y[rows, before]))


@dataclass(frozen=True)
class Draws:
    """A panel's resamples, the same whatever order they are asked for in.

    Attributes:
        seed: What all of it derives from.
        prompts: Prompt weights, (1 + R, P); the first row is no resample but weighs all prompts alike.
    """

    seed: int
    prompts: Floats

    @classmethod
    def make(cls, seed: int, prompts: int, resamples: int) -> "Draws":
        """Draws that depend on these numbers alone."""
        weights = prompt_weights(np.random.default_rng(seed), prompts, resamples)
        return cls(seed, np.vstack([np.full((1, prompts), 1 / prompts), weights]))

    def seeds(self, series: str, n: int) -> Floats:
        """Seed weights of a series with n training seeds, (1 + R, n); the first row weighs all alike."""
        rng = np.random.default_rng([self.seed, n, *series.encode("utf-8", "surrogatepass")])
        return np.vstack([np.full((1, n), 1 / n), seed_weights(rng, n, len(self.prompts) - 1)])


def interval(replicates: Floats, seeds: int, prompts: int) -> Interval:
    """The percentile interval of a statistic.

    Args:
        replicates: Its value on all data first, then on every resample, (1 + R,).
        seeds: Training seeds behind it.
        prompts: Prompts behind it.

    Returns:
        An interval without bounds where the resamples don't differ: no variation is no certainty.
    """
    levels = SEED_LEVELS if seeds > 1 else PROMPT_LEVELS
    n = seeds if seeds > 1 else prompts
    point = float(replicates[0])
    finite = replicates[1:][np.isfinite(replicates[1:])]
    if finite.size == 0 or np.ptp(finite) <= _ROUNDING * max(1.0, abs(point)):
        return Interval(point=_number(point), level=LEVEL, method="none", levels=levels, n=n)
    low, high = np.quantile(finite, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(
        point=_number(point),
        low=_number(float(low)),
        high=_number(float(high)),
        level=LEVEL,
        method="bootstrap" if seeds == 1 else "two-level bootstrap",
        levels=levels,
        n=n,
        resamples=len(replicates) - 1,
    )


def _number(value: float) -> float | None:
    """A reported number: nine significant digits, the same on every machine."""
    return float(f"{value:.9g}") if np.isfinite(value) else None
