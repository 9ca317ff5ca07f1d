"""Methods on the KL–reward frontier: reward at a budget, area under the curve, regret to the oracle."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rpo_bench.analysis.cube import Cube
from rpo_bench.analysis.field import field_of, ranks_in
from rpo_bench.analysis.items import Item
from rpo_bench.analysis.matched import at_kl, furthest, seed_curves
from rpo_bench.analysis.report import Badge, Standing
from rpo_bench.stats.frontier import Frontier, area_slack, area_within, frontier_points
from rpo_bench.stats.joint import Term
from rpo_bench.stats.oracle import Oracle, reward_on


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


def standings(
    items: Sequence[Item], cube: Cube, reference: str, at: Reach, oracle: Oracle | None, level: float
) -> list[Standing]:
    """Every item at the budget, best first; those with one seed, which aren't ranked, last.

    Args:
        items: What is ranked.
        cube: Scores, with reward and KL.
        reference: The untrained policy's cell.
        at: How far they go, and the budget.
        oracle: Of the cube's very prompts; None: no regret.
        level: Nominal coverage.
    """
    start = reference_term(cube, reference)
    terms = {item.label: at_kl(item, reference, cube, "reward", at.budget).term for item in items}
    best = _oracle_term(cube, oracle, at.budget)
    ranks = ranks_in(field_of(items, seeds_of(items, cube)), terms, cube.joint, level)
    found = []
    for item in items:
        term, rank = terms[item.label], ranks[item.label]
        area = _area_term(item, cube, reference, at.budget)
        found.append(
            Standing(
                label=item.label,
                seeds=(seeds := len(term.measured().seeds)),
                badge=badge(item, seeds),
                lost=item.lost,
                reward=cube.joint.contrast([term], level).interval,
                gain=cube.joint.contrast([term, start.negative()], level).interval,
                area=cube.joint.contrast([area], level).interval,
                regret=None if best is None else cube.joint.contrast([best, term.negative()], level).interval,
                ranks=None if rank is None else (rank.best, rank.worst),
                furthest=at.points[item.label],
            )
        )
    return sorted(found, key=_place)


def _place(one: Standing) -> tuple[bool, float, str]:
    """Best first, and after those that are ranked the ones that aren't."""
    return one.ranks is None, math.inf if one.reward.point is None else -one.reward.point, one.label


def badge(item: Item, seeds: int) -> Badge:
    """What the number of training seeds that have scores allows to claim."""
    if not item.trained:
        return "reference"
    if seeds <= 1:
        return "one seed"
    return "preliminary" if seeds < 5 else "published" if seeds < 10 else "headline"


def reference_term(cube: Cube, reference: str) -> Term:
    """The reference policy's reward."""
    scored = np.isfinite(cube.of(reference, "reward"))
    return Term("reference", 1.0, cube.mean(reference, "reward")[:, None], scored)


def _area_term(item: Item, cube: Cube, reference: str, cap: float) -> Term:
    start = cube.mean(reference, "reward")
    curves = seed_curves(item, cube, "reward")
    lines = [frontier_points(curve.kl, curve.values, start) for curve in curves]
    term = cube.term(item.series, [area_within(one, cap) for one in lines], np.ones(len(cube.prompts), bool))
    first = [Frontier(one.kl[0], one.reward[0]) for one in lines]
    return replace(term, slack=float(np.mean([area_slack(one, cap) for one in first])) if first else 0.0)


def _oracle_term(cube: Cube, oracle: Oracle | None, budget: float) -> Term | None:
    """The oracle's reward at the budget; None where it can't be trusted so far."""
    if oracle is None or budget > oracle.end:
        return None
    kl, reward = cube.joint.means(oracle.kl), cube.joint.means(oracle.reward)
    values = reward_on(kl, reward, np.full(len(kl), budget))
    return Term("oracle", 1.0, values[:, None], np.ones(len(cube.prompts), dtype=bool))
