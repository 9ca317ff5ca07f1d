"""Where ``compare`` says that methods stand at a KL budget: their order, the area up to it, their regret."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rpo_bench.analysis.cube import Cube
from rpo_bench.analysis.field import badge_of, field_of
from rpo_bench.analysis.items import Item
from rpo_bench.analysis.matched import mean_slack, reference_term, seed_curves
from rpo_bench.analysis.ranking import in_order
from rpo_bench.analysis.reach import Reach, seeds_of
from rpo_bench.analysis.report import Badge, MethodStanding
from rpo_bench.stats.arrays import Bools
from rpo_bench.stats.frontier import Frontier, area_slack, area_within, frontier_points
from rpo_bench.stats.joint import Term
from rpo_bench.stats.oracle import Oracle, reward_on


def standings(
    items: Sequence[Item], cube: Cube, reference: str, at: Reach, oracle: Oracle | None, level: float
) -> list[MethodStanding]:
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
    best = _oracle_term(cube, oracle, at.budget)
    found = []
    for one in in_order(items, cube, reference, at.budget, field_of(items, seeds_of(items, cube)), level):
        area = _area_term(one.item, cube, reference, at.budget)
        regret = None if best is None else cube.joint.contrast([best, one.term.negative()], level).interval
        found.append(
            MethodStanding(
                label=one.item.label,
                seeds=one.seeds,
                badge=_badge(one.item, one.seeds),
                lost=one.item.lost,
                reward=one.reward,
                gain=cube.joint.contrast([one.term, start.negative()], level).interval,
                area=cube.joint.contrast([area], level).interval,
                regret=regret,
                ranks=one.ranks,
                furthest=at.points[one.item.label],
            )
        )
    return found


def _badge(item: Item, seeds: int) -> Badge:
    """What the number of training seeds that have scores allows to claim."""
    if not item.trained:
        return "reference"
    return "one seed" if seeds <= 1 else badge_of(seeds)


def _area_term(item: Item, cube: Cube, reference: str, cap: float) -> Term:
    start = cube.mean(reference, "reward")
    curves = seed_curves(item, cube, "reward")
    areas = [area_within(frontier_points(curve.kl, curve.values, start), cap) for curve in curves]
    term = cube.term(item.series, areas, np.ones(len(cube.prompts), dtype=bool))

    def of_seed(points: Frontier, apart: Bools) -> float:
        return area_slack(points, cap, apart)

    return replace(term, slack=mean_slack(curves, float(start[0]), cube, of_seed))


def _oracle_term(cube: Cube, oracle: Oracle | None, budget: float) -> Term | None:
    """The oracle's reward at the budget; None where it can't be trusted so far."""
    if oracle is None or budget > oracle.end:
        return None
    kl, reward = cube.joint.means(oracle.kl), cube.joint.means(oracle.reward)
    values = reward_on(kl, reward, np.full(len(kl), budget))
    return Term("oracle", 1.0, values[:, None], np.ones(len(cube.prompts), dtype=bool))
