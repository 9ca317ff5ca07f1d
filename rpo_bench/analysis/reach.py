"""How far methods go from the reference policy, and the KL at which they are therefore compared."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rpo_bench.analysis.cube import Cube
from rpo_bench.analysis.items import Item
from rpo_bench.analysis.matched import furthest, seed_curves


@dataclass(frozen=True)
class Reach:
    """How far items go from the reference policy.

    Attributes:
        points: Item label → KL of its furthest strength, nats, mean over seeds.
        budget: The KL at which they are compared; 0 where too few have measurably left the reference.
    """

    points: Mapping[str, float]
    budget: float


def seeds_of(items: Sequence[Item], cube: Cube) -> dict[str, int]:
    """Item label → training seeds that have a reward at equal KL."""
    return {item.label: len(seed_curves(item, cube, "reward")) for item in items}


def reach(
    items: Sequence[Item], cube: Cube, level: float, cap: float | None, baselines: Collection[str]
) -> Reach:
    """The furthest KL of each, and the budget, which rewards and added methods don't affect.

    It is the largest KL that at least half of the baselines (and two, if there are two) reach. A method whose
    KL isn't above 0 in the resamples counts as staying at 0. Where there is an oracle, ``cap`` is its end:
    beyond it there is no absolute scale, and methods that have collapsed would set the budget.

    Args:
        items: Methods.
        cube: Scores.
        level: Of the resamples that keep a KL above 0.
        cap: Nats that the budget may not pass; None: any.
        baselines: Labels of those that fix the budget.
    """
    points, shown = {}, []
    first = 1 + len(cube.prompts)
    for item in items:
        far = furthest(item, cube)
        points[item.label] = max(float(far[0]), 0.0) if len(far) else 0.0
        if item.label not in baselines:
            continue
        left = len(far) > 0 and np.nanquantile(far[first:], (1 - level) / 2) > 0
        shown.append(points[item.label] if left else 0.0)
    return Reach(points, kl_budget(shown if cap is None else [min(kl, cap) for kl in shown]))


def kl_budget(furthest_kl: Sequence[float]) -> float:
    """The largest KL that half of the methods (two, if there are two) reach, down to two digits."""
    if not furthest_kl:
        return 0.0
    ordered = sorted(furthest_kl, reverse=True)
    reached = ordered[min(max(math.ceil(len(ordered) / 2), 2), len(ordered)) - 1]
    if reached <= 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(reached)) - 1)
    return float(f"{math.floor(reached / unit * (1 + 1e-12)) * unit:.3g}")
