"""Which learning rate a method gets: the one with the largest area under its reward–KL frontier."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb

import numpy as np

from rpo_bench.stats.frontier import area_within, frontier_points

FACTOR = 3.0  # between neighbouring learning rates
GROWTH = 3  # how often a grid may grow


@dataclass(frozen=True)
class Measured:
    """One configuration on the tuning prompts; KL and reward are None where the training diverged."""

    strength: float
    seed: int
    kl: float | None
    reward: float | None


def first_rates(centre: float, count: int) -> list[float]:
    """``count`` learning rates, a factor of 3 apart, around a method's usual one."""
    lowest = -((count - 1) // 2)
    return [_rounded(centre * FACTOR**step) for step in range(lowest, lowest + count)]


def grown(areas: Mapping[float, float], first: int) -> float | None:
    """The learning rate to add where the best lies on the grid's edge; None where it doesn't, or enough are.

    Args:
        areas: of each learning rate so far.
        first: how many the grid began with.
    """
    if not 2 <= len(areas) < first + GROWTH:  # one alone has no edges
        return None
    rates = sorted(areas)
    if areas[rates[0]] > max(areas[rate] for rate in rates[1:]):
        return _rounded(rates[0] / FACTOR)
    if areas[rates[-1]] > max(areas[rate] for rate in rates[:-1]):
        return _rounded(rates[-1] * FACTOR)
    return None


def best_rate(areas: Mapping[float, float]) -> float:
    """The learning rate with the largest area; of equal ones the middle one, of two the smaller."""
    most = max(areas.values())
    best = sorted(rate for rate, value in areas.items() if value == most)
    return best[(len(best) - 1) // 2]


def best_variant(areas: Mapping[str, Mapping[float, float]]) -> str:
    """The variant whose best learning rate has the largest area; of equal ones the first."""
    return max(areas, key=lambda variant: max(areas[variant].values()))


def area(measured: Sequence[Measured], reference: float, cap: float) -> float:
    """Mean gain over the reference for KL budgets spread evenly up to ``cap``, averaged over seeds.

    A frontier that ends before the cap stays where it ends. A learning rate at which nothing could be
    measured gains nothing.

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
    """The expected best area of k of the learning rates, k = 1 … N: how much a method gains by tuning."""
    ascending, count = sorted(areas), len(areas)
    return [  # the i-th smallest is the best of those ways that take it and k − 1 smaller ones
        sum(value * comb(i, k - 1) for i, value in enumerate(ascending)) / comb(count, k)
        for k in range(1, count + 1)
    ]


def _rounded(rate: float) -> float:
    return float(f"{rate:.3g}")
