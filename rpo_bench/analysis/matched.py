"""Two methods at the same strength, and at the same KL."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rpo_bench.analysis.cube import Cube
from rpo_bench.analysis.items import Item
from rpo_bench.analysis.panels import Row, settled
from rpo_bench.stats.arrays import Bools, Floats
from rpo_bench.stats.frontier import Frontier, frontier_points, interpolate, interpolation_slack, told_apart
from rpo_bench.stats.joint import Term

#: The metric whose frontier is taken to be concave, so that straight lines understate it.
CONCAVE = "reward"


@dataclass(frozen=True)
class Side:
    """One side of a comparison on one metric.

    Attributes:
        term: Its part of the contrast.
        by_prompt: Its score on every prompt, averaged over seeds, (P,); NaN where it has none.
        held: Whether its frontier ends before the KL budget, so that it stands where it ends.
        slack: By how much straight lines may understate it.
    """

    term: Term
    by_prompt: Floats
    held: bool = False
    slack: float = 0.0


def at_strength(item: Item, row: Row, cube: Cube, metric: str) -> Side:
    """An item's score at one of its strengths."""
    cells = [stored.record.cell for stored in row.stored if cube.has(stored.record.cell, metric)]
    return _side(item, cube, [cube.mean(cell, metric) for cell in cells], [cube.of(c, metric) for c in cells])


@dataclass(frozen=True)
class Curve:
    """One training seed's frontier: its cells in any order."""

    kl: Floats  # (1 + P + R, T)
    values: Floats  # (1 + P + R, T)
    cells: tuple[str, ...]


def at_kl(item: Item, reference: str, cube: Cube, metric: str, budget: float) -> Side:
    """An item's score at a KL budget, from the reference policy through its strengths by straight lines.

    Mixing two policies gives the score on the line between them, for at most its KL. A frontier that ends
    before the budget stays where it ends: what it earns there is within the budget.

    Args:
        item: Its strengths are the points.
        reference: The reference policy's cell.
        cube: Scores.
        metric: Any metric with a score per prompt.
        budget: Nats.
    """
    cells = tuple(stored.record.cell for row in item.rows for stored in row.stored)
    key = (item.label, cells, reference, metric, budget)
    if key not in cube.kept:
        cube.kept[key] = _at_kl(item, reference, cube, metric, budget)
    found: Side = cube.kept[key]
    return found


def _at_kl(item: Item, reference: str, cube: Cube, metric: str, budget: float) -> Side:
    curves = seed_curves(item, cube, metric)
    start = cube.mean(reference, metric)
    values = [within(curve.kl, curve.values, start, budget) for curve in curves]
    tables = [_mixture(curve, reference, cube, metric, budget) for curve in curves]
    held = bool(curves) and float(np.mean([curve.kl[0].max() for curve in curves])) < budget
    side = _side(item, cube, values, tables, held)
    if metric != CONCAVE:
        return side

    def of_seed(points: Frontier, apart: Bools) -> float:
        return interpolation_slack(points, budget, apart)

    slack = mean_slack(curves, float(start[0]), cube, of_seed)
    return replace(side, term=replace(side.term, slack=slack), slack=slack)


def mean_slack(
    curves: Sequence[Curve], start: float, cube: Cube, of_seed: Callable[[Frontier, Bools], float]
) -> float:
    """By how much straight lines may understate what is read from a concave frontier, mean over seeds.

    Args:
        curves: Of each seed; none: 0.
        start: The reference policy's reward.
        cube: The curves' scores.
        of_seed: The slack of one seed's points, and of which of them are told apart in KL.
    """
    found = []
    for curve in curves:
        kl, draws = curve.kl[0], curve.kl[1 + len(cube.prompts) :]
        found.append(of_seed(frontier_points(kl, curve.values[0], start), told_apart(kl, draws)))
    return float(np.mean(found)) if found else 0.0


def furthest(item: Item, cube: Cube) -> Floats:
    """The mean over seeds of the largest KL of a seed's strengths, (1 + P + R,); empty without any KL."""
    curves = seed_curves(item, cube, "kl")
    if not curves:
        return np.empty(0)
    return np.asarray(np.mean([curve.kl[:, curve.kl[0].argmax()] for curve in curves], axis=0))


def reference_term(cube: Cube, reference: str) -> Term:
    """The reference policy's reward."""
    scored = np.isfinite(cube.of(reference, "reward"))
    return Term("reference", 1.0, cube.mean(reference, "reward")[:, None], scored)


def within(kl: Floats, values: Floats, start: Floats, budget: float) -> Floats:
    """Each row's value at a KL budget; beyond its end, the value at its end.

    Args:
        kl: In nats, in any order, (R, T).
        values: At these points, (R, T).
        start: The reference policy's value, (R,).
        budget: In nats.

    Returns:
        (R,).
    """
    points = frontier_points(kl, values, start)
    inside = interpolate(points, np.array([budget]))[:, 0]
    return np.where(np.isnan(inside), points.reward[:, -1], inside)


def seed_curves(item: Item, cube: Cube, metric: str) -> list[Curve]:
    """By training seed, those that have any point; a strength with one seed is none beside others."""
    cells: dict[int, list[str]] = {}
    for row in settled(item.rows):
        for stored in row.stored:
            cell = stored.record.cell
            if cube.has(cell, "kl") and cube.has(cell, metric):
                cells.setdefault(stored.record.spec.seed, []).append(cell)
    found = []
    for _, of in sorted(cells.items()):
        kl = np.stack([cube.mean(cell, "kl") for cell in of], axis=1)
        found.append(Curve(kl, np.stack([cube.mean(cell, metric) for cell in of], axis=1), tuple(of)))
    return found


def _mixture(curve: Curve, reference: str, cube: Cube, metric: str, budget: float) -> Floats:
    """Scores by prompt (P,) of the mixture of the two points about the budget."""
    kl = np.concatenate([[0.0], np.maximum(curve.kl[0], 0.0)])
    order = np.argsort(kl, kind="stable")
    unit = np.eye(len(kl))
    weights = np.array([np.interp(budget, kl[order], unit[point][order]) for point in range(len(kl))])
    cells = (reference, *curve.cells)
    kept = [(weight, cell) for weight, cell in zip(weights, cells, strict=True) if weight > 0]
    return np.asarray(sum(weight * cube.of(cell, metric) for weight, cell in kept))


def _side(
    item: Item, cube: Cube, values: Sequence[Floats], tables: Sequence[Floats], held: bool = False
) -> Side:
    if not tables:
        nothing = np.full(len(cube.prompts), np.nan)
        return Side(cube.term(item.series, [], np.isfinite(nothing)), nothing, held)
    stacked = np.stack(tables)  # (S, P)
    known = np.isfinite(stacked)
    with np.errstate(invalid="ignore"):
        by_prompt = np.where(known, stacked, 0.0).sum(0) / known.sum(0)
    return Side(cube.term(item.series, values, np.asarray(known.any(0))), by_prompt, held)
