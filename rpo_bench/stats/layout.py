"""The variance of a contrast of methods over seeds and prompts: a two-way layout without replication."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rpo_bench.stats.arrays import Floats
from rpo_bench.stats.quantiles import normal_quantile, t_quantile


@dataclass(frozen=True)
class Spread:
    """How far a contrast may lie from its expectation.

    Attributes:
        variance: Of the estimate; 0 where nothing varies.
        freedom: Satterthwaite's degrees of freedom of that variance.
    """

    variance: float
    freedom: float


def contrast_spread(scores: Sequence[Floats], signs: Floats) -> Spread:
    """The variance of Σ sign_m · mean_m, seeds being drawn within each method and prompts once for all.

    With a_m = s²(seed means)/S_m and e_m = s²(residuals)/(S_m P) of each method, and b = s²(prompt
    contrasts)/P, the variance of the contrast is v = Σ a_m + b − Σ e_m (noise in single cells is in a as well
    as in b).

    Args:
        scores: Per method (S_m, P), on the same prompts; NaN for unscored.
        signs: (M,).
    """
    prompts = np.asarray(sum(s * np.nanmean(x, axis=0) for s, x in zip(signs, scores, strict=True)))
    count = len(prompts)
    several = [x for x in scores if len(x) > 1]  # a single seed is taken as it is
    seed_parts = [(float(np.var(np.nanmean(x, axis=1), ddof=1)) / len(x), len(x) - 1) for x in several]
    prompt_part = float(np.var(prompts, ddof=1)) / count if count > 1 else 0.0
    cell_parts = [(_residual_variance(x) / x.size, (len(x) - 1) * (count - 1)) for x in several]
    seeds = sum(part for part, _ in seed_parts)
    total = max(seeds + prompt_part - sum(part for part, _ in cell_parts), seeds, prompt_part)
    parts = [*seed_parts, (prompt_part, count - 1), *cell_parts]
    _, scale = math.frexp(total)  # a power of two changes no digit, and squares neither overflow nor vanish
    squares = sum(math.ldexp(part, -scale) ** 2 / free for part, free in parts if free > 0)
    return Spread(total, math.ldexp(total, -scale) ** 2 / squares if squares > 0 else float("inf"))


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


def _residual_variance(scores: Floats) -> float:
    """s² of (S, P) after taking out seed and prompt means; 0 for a single prompt."""
    freedom = (scores.shape[0] - 1) * (scores.shape[1] - 1)
    if freedom == 0:
        return 0.0
    seeds = np.nanmean(scores, axis=1, keepdims=True)
    prompts = np.nanmean(scores, axis=0, keepdims=True)
    squares = np.square(scores - seeds - prompts + np.nanmean(scores))
    return float(np.nansum(squares) / freedom)
