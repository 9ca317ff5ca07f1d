"""Over-optimisation: the proxy that is trained on goes on rising while the gold reward turns down.

After Gao et al., "Scaling Laws for Reward Model Overoptimization" (2022): gains are looked at over d = √KL,
and gold follows d·(α − β·d), which rises, peaks at d* = α/(2β) and declines. The curve is fitted by least
squares through the reference policy (d = 0, no gain) to all strengths and seeds of a method, anew on every
resample.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from rpo_bench.stats.arrays import Floats
from rpo_bench.stats.interval import PROMPT_LEVELS, SEED_LEVELS, Interval, empty, made, point_only
from rpo_bench.stats.quantiles import normal_quantile, widening

_POSITIVE = (0.0, float("inf"))


@dataclass(frozen=True)
class Curve:
    """gain = α·d − β·d² with d = √KL.

    Attributes:
        alpha: Slope at the reference, (...).
        beta: Bend, (...).
    """

    alpha: Floats
    beta: Floats

    @property
    def peak(self) -> Floats:
        """√KL of the largest gain, (...); infinite where the curve doesn't turn down."""
        with np.errstate(divide="ignore", invalid="ignore"):
            turning = np.where(self.beta > 0, self.alpha / (2 * self.beta), np.inf)
        falling = np.where(self.beta < 0, np.inf, 0.0)
        found = np.where(self.alpha > 0, turning, falling)
        return np.asarray(np.where(np.isnan(self.alpha), np.nan, found))

    @property
    def first(self) -> "Curve":
        """The first of several curves: the one of all data."""
        return Curve(self.alpha[..., 0], self.beta[..., 0])

    def gain(self, distance: Floats) -> Floats:
        """The gain at √KL, (...)."""
        return np.asarray(self.alpha * distance - self.beta * np.square(distance))


@dataclass(frozen=True)
class Overoptimisation:
    """What a method's strengths say of its proxy.

    Attributes:
        peak_kl: Nats at which gold is largest; no upper end where resamples without a peak reach into the
            interval, and no point where the fit itself has none within the strengths that were run.
        decline: Gold at the peak less gold at the furthest strength, by the fitted curve; 0 without a peak.
        gap: Proxy gain less gold gain at the furthest strength, by the fitted curves.
        furthest_kl: The furthest strength, nats.
        peaked: Share of resamples whose curve peaks before the furthest strength.
        proxy: The curve fitted to the proxy's gains, on all data.
        gold: The same of the gold reward's.
    """

    peak_kl: Interval
    decline: Interval
    gap: Interval
    furthest_kl: float
    peaked: float
    proxy: Curve
    gold: Curve


def fit_curve(kl: Floats, gain: Floats, weights: Floats | None = None) -> Curve:
    """Least squares of gain on (d, −d²), d = √KL, through the origin.

    Args:
        kl: Nats, (..., N); below 0 counts as 0.
        gain: Over the reference policy, (..., N).
        weights: Of each point, (..., N); None: equal.
    """
    d = np.sqrt(np.maximum(kl, 0.0))
    w = np.ones_like(d) if weights is None else weights
    s2, s3, s4 = ((w * d**power).sum(-1) for power in (2, 3, 4))
    t1, t2 = ((w * gain * d**power).sum(-1) for power in (1, 2))
    determinant = s2 * s4 - np.square(s3)
    with np.errstate(divide="ignore", invalid="ignore"):
        alpha = (s4 * t1 - s3 * t2) / determinant
        beta = (s3 * t1 - s2 * t2) / determinant
    known = determinant > 1e-12 * np.maximum(s2 * s4, 1e-300)
    return Curve(np.where(known, alpha, np.nan), np.where(known, beta, np.nan))


def overoptimisation(
    kl: Floats, proxy: Floats, gold: Floats, seeds: Floats, *, prompts: int, level: float = 0.95
) -> Overoptimisation:
    """Locates the peak of gold and the decline after it, with percentile intervals.

    Args:
        kl: On all data first, then on every resample of the prompts, by seed and strength, (1 + R, S, T).
        proxy: Gain in the trained-on reward over the reference policy's, likewise.
        gold: Gain in the gold reward, likewise.
        seeds: How much each seed weighs in every resample, (R, S), as of ``Joint.seeds``.
        prompts: How many were resampled.
        level: Nominal coverage.

    Needs two strengths whose KL differs; without them nothing is told. With a single prompt there are no
    intervals.
    """
    rows, count, strengths = kl.shape
    weights = np.vstack([np.full((1, count), 1 / count), seeds])[:, :, None] * np.ones(strengths)
    flat = (rows, count * strengths)
    curves = [
        fit_curve(kl.reshape(flat), gain.reshape(flat), weights.reshape(flat)) for gain in (proxy, gold)
    ]
    far = np.sqrt(np.maximum((weights[..., 0] * kl.max(-1)).sum(1), 0.0))  # (1 + R,)
    of_proxy, of_gold = curves
    peak = np.minimum(of_gold.peak, far)
    inside = of_gold.peak < far
    found = np.where(inside | np.isnan(of_gold.peak), np.square(of_gold.peak), np.inf)
    decline = np.maximum(of_gold.gain(peak) - of_gold.gain(far), 0.0)
    gap = of_proxy.gain(far) - of_gold.gain(far)
    units = _Units(count, prompts)
    return Overoptimisation(
        peak_kl=_interval(found, units, level, _POSITIVE),
        decline=_interval(decline, units, level, _POSITIVE),
        gap=_interval(gap, units, level),
        furthest_kl=float(np.square(far[0])),
        peaked=float(inside[1:].mean()) if rows > 1 else float(inside[0]),
        proxy=of_proxy.first,
        gold=of_gold.first,
    )


@dataclass(frozen=True)
class _Units:
    """What was resampled: seeds, where there are several, and prompts."""

    seeds: int
    prompts: int

    @property
    def n(self) -> int:
        """Independent units."""
        return self.seeds if self.seeds > 1 else self.prompts

    @property
    def levels(self) -> tuple[str, ...]:
        """The randomness covered."""
        return SEED_LEVELS if self.seeds > 1 else PROMPT_LEVELS


def _interval(
    values: Floats, units: _Units, level: float, within: tuple[float, float] | None = None
) -> Interval:
    """Percentiles of (1 + R,), where infinite values stand for "further than was looked"."""
    draws = values[1:][~np.isnan(values[1:])]
    point, n = float(values[0]), units.n
    if np.isnan(point) or not len(draws):
        return empty(level)
    if units.prompts < 2:
        return _unbounded(point, None, n, level)
    factor = widening(n, level)  # few seeds
    low, high = _percentiles(draws, level)
    if np.isfinite([point, low, high]).all():
        if low == high:
            return point_only(point, n, level)
        return made(
            (float(point - factor * (point - low)), point, float(point + factor * (high - point))),
            n=n,
            level=level,
            method="percentile bootstrap",
            levels=units.levels,
            resamples=len(draws),
            within=within,
        )
    # What lies at infinity can't be stretched: few seeds have percentiles further out instead.
    low, _ = _percentiles(draws, 2 * NormalDist().cdf(factor * normal_quantile(level)) - 1)
    found = _unbounded(point, low, n, level)
    return found.model_copy(update={"levels": units.levels, "resamples": len(draws)})


def _percentiles(draws: Floats, level: float) -> tuple[float, float]:
    tail = (1 - level) / 2
    low, high = np.quantile(draws, [tail, 1 - tail], method="inverted_cdf")
    return float(low), float(high)


def _unbounded(point: float, low: float | None, n: int, level: float) -> Interval:
    """Without an upper end; infinite numbers are none."""
    ends = (None if one is None or not np.isfinite(one) else one for one in (point, low))
    known, least = ends
    method = "none" if low is None else "percentile bootstrap"
    return Interval(point=known, low=least, level=level, method=method, n=n)
