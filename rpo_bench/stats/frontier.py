"""The KL–reward frontier of a method: what reward its strengths buy at what distance from the reference.

All functions take the last axis as the points of one frontier, so that bootstrap draws (B, K) go through in
one call. Nothing is extrapolated: what lies beyond a frontier's last point is NaN.
"""

from dataclasses import dataclass

import numpy as np

from rpo_bench.stats.arrays import Bools, Floats

_ROUNDING = 1e-9  # points on one straight line bound each other by it


@dataclass(frozen=True)
class Frontier:
    """Points in order of KL, the first being the reference policy at KL 0.

    Attributes:
        kl: Nats per sequence; (..., K).
        reward: (..., K).
    """

    kl: Floats
    reward: Floats


def frontier_points(kl: Floats, reward: Floats, reference_reward: float | Floats) -> Frontier:
    """A frontier from one point per strength.

    A KL below 0 (an unbiased estimate near 0 may be) counts as 0. Points of equal KL are kept; the curve
    passes through their mean.

    Args:
        kl: Of each strength, (..., K).
        reward: Of each strength, (..., K).
        reference_reward: Of the reference policy, () or (...).
    """
    base = np.broadcast_to(np.asarray(reference_reward, dtype=np.float64), kl.shape[:-1])[..., None]
    kls = np.concatenate([np.zeros_like(base), np.maximum(kl, 0.0)], axis=-1)
    rewards = np.concatenate([base, reward], axis=-1)
    order = np.argsort(kls, axis=-1, kind="stable")
    kls, rewards = (np.take_along_axis(x, order, axis=-1) for x in (kls, rewards))
    equal = kls[..., :, None] == kls[..., None, :]  # (..., K, K)
    return Frontier(kls, (equal * rewards[..., None, :]).sum(-1) / equal.sum(-1))


def interpolate(frontier: Frontier, budgets: Floats) -> Floats:
    """Reward at fixed KL, by straight lines between the points; NaN beyond the last.

    Args:
        frontier: (..., K) points.
        budgets: KL in nats per sequence, (Q,).

    Returns:
        (..., Q).
    """
    kl, reward = frontier.kl, frontier.reward
    after = (kl[..., None, :] <= budgets[:, None]).sum(-1)  # (..., Q): points at or below the budget
    left = np.clip(after - 1, 0, kl.shape[-1] - 1)
    right = np.clip(after, 0, kl.shape[-1] - 1)
    kl_left, kl_right = np.take_along_axis(kl, left, -1), np.take_along_axis(kl, right, -1)
    low, high = np.take_along_axis(reward, left, -1), np.take_along_axis(reward, right, -1)
    width = kl_right - kl_left
    share = np.where(width > 0, (budgets - kl_left) / np.where(width > 0, width, 1.0), 0.0)
    inside = (budgets >= 0) & (budgets <= kl[..., -1:])
    return np.where(inside, low + share * (high - low), np.nan)


def told_apart(kl: Floats, draws: Floats, level: float = 0.95) -> Bools:
    """Which points of a frontier are shown to differ in KL, over the prompts.

    Args:
        kl: Nats per sequence of T strengths, in any order, (T,).
        draws: The same on R resamples of the prompts, which all strengths share, (R, T).
        level: Of the differences: two points are told apart where the one further out is so in all but
            (1 − level)/2 of the resamples.

    Returns:
        (T + 1, T + 1), in the order of ``frontier_points``: the reference policy, then by KL.
    """
    order = np.argsort(np.maximum(kl, 0.0), kind="stable")
    points = np.concatenate([np.zeros((len(draws), 1)), np.maximum(draws[:, order], 0.0)], axis=1)
    further = (points[:, None, :] > points[:, :, None]).mean(0)  # [i, j]: j is further out than i
    shown = np.triu(further >= 0.5 + level / 2)
    return np.asarray(shown | shown.T)


def interpolation_slack(frontier: Frontier, budget: float, apart: Bools | None = None) -> float:
    """By how much a concave frontier through the points may lie above the straight line at a budget.

    A concave curve lies below every line through two of its points on one side of the budget, carried on to
    it. The lowest of these lines bounds it; one that passes below the straight line itself contradicts
    concavity, by noise, and is left out. Before the last point it is taken not to exceed both neighbours.

    Points that aren't told apart in KL make no line: a slope is a ratio, which may be anything where its
    denominator may be 0 (Fieller, 1954). Two strengths with nearly the same KL would else bound the curve
    closely or not at all, as the noise of their rewards has it. Such points count as one place: what is told
    apart from nothing further out is the last point.

    Args:
        frontier: a single one, (K,) points.
        budget: nats per sequence.
        apart: which points are told apart, (K, K), as of ``told_apart``; None: all whose KL differs.

    Returns:
        At least 0; 0 at a point and beyond the last one.
    """
    kl, reward = frontier.kl, frontier.reward
    right = int(np.searchsorted(kl, budget))  # the first point at or beyond the budget
    if right in (0, len(kl)) or kl[right] == budget:
        return 0.0
    left = right - 1
    known = kl[:, None] != kl if apart is None else apart & (kl[:, None] != kl)
    line = float(interpolate(frontier, np.array([budget]))[0])
    before = [other for other in range(left) if known[other, left]]
    beyond = [other for other in range(right + 1, len(kl)) if known[right, other]]
    bounds = [
        float(reward[a] + (reward[b] - reward[a]) / (kl[b] - kl[a]) * (budget - kl[a]))
        for a, b in [*((other, left) for other in before), *((right, other) for other in beyond)]
    ]
    if not beyond:
        bounds.append(float(max(reward[left], reward[right])))
    gaps = [bound - line for bound in bounds]
    return min((max(gap, 0.0) for gap in gaps if gap >= -_ROUNDING * (1.0 + abs(line))), default=0.0)


def area_slack(frontier: Frontier, cap: float, apart: Bools | None = None, budgets: int = 40) -> float:
    """By how much straight lines may understate ``area_within`` of a single concave frontier.

    Args:
        frontier: (K,) points.
        cap: nats per sequence, positive.
        apart: which points are told apart in KL; see ``interpolation_slack``.
        budgets: how many are averaged over, spread evenly up to the cap.
    """
    middles = (np.arange(budgets) + 0.5) * cap / budgets
    return float(np.mean([interpolation_slack(frontier, float(budget), apart) for budget in middles]))


def area_to(frontier: Frontier, cap: float) -> Floats:
    """Mean reward gained over the reference for KL budgets spread evenly from 0 to ``cap``.

    Args:
        frontier: (..., K) points.
        cap: Nats per sequence, positive.

    Returns:
        (...), NaN for a frontier that ends before the cap.
    """
    at_cap = interpolate(frontier, np.array([cap]))  # (..., 1)
    kl = np.concatenate([np.minimum(frontier.kl, cap), np.full_like(at_cap, cap)], axis=-1)
    reward = np.concatenate([np.where(frontier.kl <= cap, frontier.reward, at_cap), at_cap], axis=-1)
    gained = reward - frontier.reward[..., :1]
    area: Floats = (np.diff(kl, axis=-1) * (gained[..., 1:] + gained[..., :-1]) / 2).sum(-1) / cap
    return area


def area_within(frontier: Frontier, cap: float) -> Floats:
    """``area_to`` where a frontier that ends before the cap stays where it ends."""
    end = np.maximum(frontier.kl[..., -1:], cap)
    kl = np.concatenate([frontier.kl, end], axis=-1)
    return area_to(Frontier(kl, np.concatenate([frontier.reward, frontier.reward[..., -1:]], axis=-1)), cap)
