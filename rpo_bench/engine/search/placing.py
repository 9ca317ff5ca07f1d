"""Chooses the next strengths to try, so that some are close to the KL budgets.

KL is roughly a power of the strength, so the secant method works on log-strength and log-KL.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

#: A budget is bracketed if there are points within this factor on both sides.
CLOSE = 1.15
_AIM = 1.06  # aims well inside the bracket, as KL is only estimated
_STRETCH = 4.0  # largest factor beyond the strengths tried so far
_SAME = 1.01  # strengths closer than this count as equal
_LEAST = 1e-3  # nats; smaller KLs are too noisy for the secant


@dataclass(frozen=True)
class Tried:
    """A strength and its measured KL in nats per sequence."""

    strength: float
    kl: float


@dataclass(frozen=True)
class Ladder:
    """The strengths that a method may take.

    Attributes:
        own: its usual strengths, most conservative first.
        whole: whether strengths are whole numbers.
        closed: whether strengths beyond its own give nothing new, such as best of k above the responses.
    """

    own: tuple[float, ...]
    whole: bool = False
    closed: bool = False

    def rounded(self, strength: float) -> float | None:
        """The nearest allowed strength; None beyond a closed end."""
        found = max(1.0, float(round(strength))) if self.whole else float(f"{strength:.3g}")
        return None if self.closed and not min(self.own) <= found <= max(self.own) else found


def next_strengths(
    tried: Sequence[Tried], lost: Sequence[float], budgets: Sequence[float], count: int, ladder: Ladder
) -> list[float]:
    """At most ``count`` strengths to try next; none if every budget is bracketed or unreachable.

    Args:
        tried: strengths of one method and learning rate, with their KL.
        lost: strengths at which training diverged for every seed.
        budgets: KL budgets in nats.
        count: maximum number of strengths.
        ladder: the allowed strengths.
    """
    targets = unmet(tried, budgets)
    known = [*(one.strength for one in tried), *lost]
    usable = sorted((one for one in tried if one.kl > _LEAST), key=lambda one: one.kl)
    if targets and len(usable) < 2:
        return _without_secant(tried, known, ladder)[:count]
    found: list[float] = []
    for target in targets:
        aimed = _at(target, usable, tried)
        strength = None if aimed is None else ladder.rounded(aimed)
        if strength is not None and not _among(strength, [*known, *found]):
            found.append(strength)
    return found[:count]


def _without_secant(tried: Sequence[Tried], known: Sequence[float], ladder: Ladder) -> list[float]:
    """One strength to try if fewer than two have a usable KL: from its ladder, then beyond its bold end."""
    rest = [strength for strength in ladder.own if not _among(strength, known)]
    if rest:
        near = [one.strength for one in tried] or [ladder.own[len(ladder.own) // 2]]
        return [min(rest, key=lambda strength: abs(math.log(strength / near[0])))]
    if not tried or any(one.kl > _LEAST for one in tried):
        return []
    bolder = _STRETCH if ladder.own[-1] > ladder.own[0] else 1 / _STRETCH
    end = max(known) if bolder > 1 else min(known)
    strength = ladder.rounded(end * bolder)
    return [] if strength is None or _among(strength, known) else [strength]


def _among(strength: float, known: Sequence[float]) -> bool:
    return any(max(strength, one) < _SAME * min(strength, one) for one in known)


def unmet(tried: Sequence[Tried], budgets: Sequence[float]) -> list[float]:
    """The KLs to aim at: above and below every budget without a close point on that side."""
    targets = []
    for budget in sorted(budgets):
        if not any(budget / CLOSE <= one.kl <= budget for one in tried):
            targets.append(budget / _AIM)
        if not any(budget <= one.kl <= budget * CLOSE for one in tried):
            targets.append(budget * _AIM)
    return targets


def bracketed(tried: Sequence[Tried], budget: float) -> bool:
    """Whether a budget has close points on both sides."""
    return not unmet(tried, [budget])


def _at(target: float, known: Sequence[Tried], tried: Sequence[Tried]) -> float | None:
    """The strength for a target KL, by the secant through the nearest points; None if their KLs are equal.

    Args:
        target: nats.
        known: two points or more, by KL.
        tried: all points; they bound the strength.
    """
    above = next((i for i, one in enumerate(known) if one.kl >= target), len(known))
    left, right = known[max(0, min(above, len(known) - 1) - 1)], known[min(max(above, 1), len(known) - 1)]
    rise = math.log(right.kl / left.kl)
    if rise < 1e-9:
        return None
    slope = math.log(right.strength / left.strength) / rise
    aimed = math.log(left.strength) + slope * math.log(target / left.kl)
    least, most = min(one.strength for one in tried) / _STRETCH, max(one.strength for one in tried) * _STRETCH
    return math.exp(min(max(aimed, math.log(least)), math.log(most)))  # an almost level secant aims anywhere
