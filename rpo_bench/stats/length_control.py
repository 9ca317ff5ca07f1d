"""The win rate that is left when the two responses are equally long.

A judge that likes long responses makes a verbose model look good. The score of each question (1 for a win of
the model, 0 for a loss, anything between) is regressed, by a logistic curve, on tanh(Δlength / sd), and the
win rate is read off at Δ = 0 (after Dubois et al., "Length-Controlled AlpacaEval", 2024, whose term for the
difficulty of each of its 805 instructions is left out here: it belongs to those instructions).
"""

from dataclasses import dataclass

import numpy as np

from rpo_bench.stats.arrays import Floats
from rpo_bench.stats.bootstrap import RESAMPLES, weight_chunks
from rpo_bench.stats.interval import QUESTION_LEVELS, Interval, empty, made, point_only
from rpo_bench.stats.quantiles import percentile_bounds, widening

_STEPS = 60
_SMALL = 1e-3  # holds a slope that the data leave free (questions all won or all lost), and moves no other
_FAR = 30.0  # logits beyond which a probability is 0 or 1


@dataclass(frozen=True)
class LengthControl:
    """A length-controlled win rate.

    Attributes:
        win_rate: At equal length, as a share, with a bootstrap over questions that fits anew each time.
        preference: The fitted slope: log-odds that a win gains from one tanh(sd) more of length.
    """

    win_rate: Interval
    preference: float | None


def length_controlled(
    scores: Floats,
    longer: Floats,
    rng: np.random.Generator,
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
) -> LengthControl:
    """The win rate at equal length; none where all responses are longer, or shorter, by the same length.

    Args:
        scores: Of each question, in [0, 1], (Q,); NaN for unscored.
        longer: The model's length less the baseline's, (Q,).
        rng: The generator.
        level: Nominal coverage.
        resamples: Number of resamples, each fitted anew.
    """
    known = np.isfinite(scores) & np.isfinite(longer)
    y, gap = scores[known], longer[known]
    n = len(y)
    if n == 0:
        return LengthControl(empty(level), None)
    if n > 1 and np.ptp(gap) == 0 and gap[0] != 0:  # of equal length nothing was seen
        return LengthControl(Interval(point=None, level=level, method="none", n=n), None)
    fitted = _fit(y, gap, np.ones((1, n)))[0]  # (2,)
    point = float(_share(fitted[0]))
    if n < 2 or np.ptp(y) == 0:
        return LengthControl(point_only(float(y.mean()), n, level), None)
    draws = np.concatenate([_share(_fit(y, gap, w)[:, 0]) for w in weight_chunks(n, rng, resamples)])
    low, high = percentile_bounds(draws, point, level, widening(n, level))
    interval = made(
        (low, point, high),
        n=n,
        level=level,
        method="bootstrap",
        levels=QUESTION_LEVELS,
        resamples=resamples,
        within=(0.0, 1.0),
    )
    return LengthControl(interval, float(fitted[1]))


def _share(logits: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -_FAR, _FAR))))


def _fit(y: Floats, gap: Floats, weights: Floats) -> Floats:
    """Intercept and slope of B weighted logistic regressions by Newton's method; weights (B, Q) → (B, 2)."""
    total = weights.sum(1)
    mean = weights @ gap / total
    variance = np.maximum(weights @ np.square(gap) / total - np.square(mean), 0.0)
    sd = np.where(variance > 0, np.sqrt(variance), 1.0)
    x = np.tanh(gap / sd[:, None])  # (B, Q)
    rate = np.clip(weights @ y / total, 1e-6, 1 - 1e-6)
    found = np.stack([np.log(rate / (1 - rate)), np.zeros_like(rate)], axis=1)  # (B, 2)
    for _ in range(_STEPS):
        p = _share(found[:, :1] + found[:, 1:] * x)
        step = _newton_step(weights * (y - p), weights * p * (1 - p), x, found)
        found = np.clip(found + np.clip(step, -2.0, 2.0), -_FAR, _FAR)
        if np.abs(step).max() < 1e-9:
            break
    return found


def _newton_step(residual: Floats, curvature: Floats, x: Floats, found: Floats) -> Floats:
    """H⁻¹ g of the two parameters, with the slope held by a weak penalty; (B, 2)."""
    g0, g1 = residual.sum(1), (residual * x).sum(1) - _SMALL * found[:, 1]
    h00, h01 = curvature.sum(1) + 1e-12, (curvature * x).sum(1)
    h11 = (curvature * np.square(x)).sum(1) + _SMALL
    determinant = np.maximum(h00 * h11 - np.square(h01), 1e-300)
    return np.stack([(h11 * g0 - h01 * g1) / determinant, (h00 * g1 - h01 * g0) / determinant], axis=1)
