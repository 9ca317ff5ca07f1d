"""Chooses a method's learning rate by the largest area under its reward–KL frontier."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb

import numpy as np

from rpo_bench.stats.frontier import area_within, frontier_points

FACTOR = 3.0  # between neighbouring learning rates
GROWTH = 3  # maximum number of extensions of a grid


@dataclass(frozen=True)
class Measured:
    """One configuration on the tuning prompts; KL and reward are None if training diverged."""

    strength: float
    seed: int
    kl: float | None
    reward: float | None


def first_rates(centre: float, count: int) -> list[float]:
    """``count`` learning rates, a factor of 3 apart, around a method's usual one."""
    lowest = -((count - 1) // 2)
    return [_rounded(centre * FACTOR**step) for step in range(lowest, lowest + count)]


def grown(areas: Mapping[float, float], first: int) -> float | None:
    """The learning rate to add if the best is at the grid's edge; None if not, or if the grid is full.

    Args:
        areas: learning rate → area.
        first: initial size of the grid.
    """
    if not 2 <= len(areas) < first + GROWTH:  # a single one has no edges
        return None
    rates = sorted(areas)
    if areas[rates[0]] > max(areas[rate] for rate in rates[1:]):
        return _rounded(rates[0] / FACTOR)
    if areas[rates[-1]] > max(areas[rate] for rate in rates[:-1]):
        return _rounded(rates[-1] * FACTOR)
    return None


def best_rate(areas: Mapping[float, float]) -> float:
    """The learning rate with the largest area; for ties the middle one, and the smaller of two."""
    most = max(areas.values())
    best = sorted(rate for rate, value in areas.items() if value == most)
    return best[(len(best) - 1) // 2]


def best_variant(areas: Mapping[str, Mapping[float, float]]) -> str:
    """The variant whose best learning rate has the largest area; for ties the first."""
    return max(areas, key=lambda variant: max(areas[variant].values()))


def area(measured: Sequence[Measured], reference: float, cap: float) -> float:
    """Mean gain over the reference for evenly spaced KL budgets up to ``cap``, averaged over seeds.

    Beyond its end, a frontier is constant. A learning rate without measurements has no gain.

    Args:
        measured: all strengths and seeds of one learning rate.
        reference: reward of the reference policy on the same prompts.
        cap: nats per sequence.
    """
    areas = []
    for seed in sorted({one.seed for one in measured}):
        own = [(one.kl, one.reward) for one in measured if one.seed == seed]
        known = np.array([pair for pair in own if None not in pair], dtype=np.float64).reshape(-1, 2)
        line = frontier_points(known[:, 0], known[:, 1], reference)
        areas.append(float(area_within(line, cap)))
    return float(np.mean(areas)) if areas else 0.0


def best_of(areas: Sequence[float]) -> list[float]:
    """The expected best area of k learning rates, k = 1 … N: how much a method gains from tuning."""
    ascending, count = sorted(areas), len(areas)
    return [  # the i-th smallest is the best of the subsets with it and k − 1 smaller ones
        sum(value * comb(i, k - 1) for i, value in enumerate(ascending)) / comb(count, k)
        for k in range(1, count + 1)
    ]


def _rounded(rate: float) -> float:
    return float(f"{rate:.3g}")
