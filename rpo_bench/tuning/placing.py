"""Where to try the next strengths, so that some lie close to the KL budgets at which methods are compared.

KL is close to a power of the strength, so that the secant is taken on log-strength against log-KL.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

#: A budget is bracketed by points within this factor of it on either side.
CLOSE = 1.15
_AIM = 1.06  # aims well inside the bracket, as a KL is only estimated
_STRETCH = 4.0  # beyond the strengths tried so far, by at most this factor at a time
_SAME = 1.01  # strengths closer than this are one
_LEAST = 1e-3  # nats: below it a KL says nothing of where the strength is


@dataclass(frozen=True)
class Tried:
    """A strength and the KL that it gave, in nats per sequence."""

    strength: float
    kl: float


def next_strengths(
    tried: Sequence[Tried], budgets: Sequence[float], count: int, whole: bool = False
) -> list[float]:
    """The strengths to try next, at most ``count``; none where every budget is bracketed or out of reach.

    Args:
        tried: at least two strengths of one method and learning rate.
        budgets: KL in nats.
        count: at most so many.
        whole: strengths are whole numbers.
    """
    found: list[float] = []
    for target in unmet(tried, budgets):
        strength = _at(target, tried)
        if strength is None:
            continue
        strength = max(1.0, round(strength)) if whole else float(f"{strength:.3g}")
        known = [one.strength for one in tried] + found
        if not any(max(strength, one) < _SAME * min(strength, one) for one in known):
            found.append(strength)
    return found[:count]


def unmet(tried: Sequence[Tried], budgets: Sequence[float]) -> list[float]:
    """The KLs to aim at: above and below every budget that has no point close on that side."""
    targets = []
    for budget in sorted(budgets):
        if not any(budget / CLOSE <= one.kl <= budget for one in tried):
            targets.append(budget / _AIM)
        if not any(budget <= one.kl <= budget * CLOSE for one in tried):
            targets.append(budget * _AIM)
    return targets


def bracketed(tried: Sequence[Tried], budget: float) -> bool:
    """Whether a budget has a point close on either side."""
    return not unmet(tried, [budget])


def _at(target: float, tried: Sequence[Tried]) -> float | None:
    """The strength that gives a KL, by the secant through the nearest points; None without two of them."""
    known = sorted((one for one in tried if one.kl > _LEAST), key=lambda one: one.kl)
    if len(known) < 2:
        return None
    above = next((i for i, one in enumerate(known) if one.kl >= target), len(known))
    left, right = known[max(0, min(above, len(known) - 1) - 1)], known[min(max(above, 1), len(known) - 1)]
    rise = math.log(right.kl / left.kl)
    if rise < 1e-9:
        return None
    slope = math.log(right.strength / left.strength) / rise
    strength = left.strength * math.exp(slope * math.log(target / left.kl))
    strengths = [one.strength for one in tried]
    return min(max(strength, min(strengths) / _STRETCH), max(strengths) * _STRETCH)
