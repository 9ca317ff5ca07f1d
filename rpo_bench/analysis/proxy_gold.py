"""Over-optimisation of stored results: proxy and gold reward of every method over how far it went."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rpo_bench.analysis.cube import Cube, cube_of
from rpo_bench.analysis.panels import Panel, Series, panels, settled
from rpo_bench.analysis.scores import read_panel_scores
from rpo_bench.errors import UserError
from rpo_bench.results.store import read_results
from rpo_bench.spec.settings import Frozen
from rpo_bench.stats.arrays import Floats
from rpo_bench.stats.interval import Interval
from rpo_bench.stats.joint import Term
from rpo_bench.stats.overoptimisation import Curve, overoptimisation

KL, PROXY, GOLD = "kl", "proxy_reward", "reward"


class ProxyGold(Frozen):
    """A method's strengths, from the reference policy to the furthest; see ``Overoptimisation``."""

    task: str
    model: str
    method: str
    strengths: int
    seeds: int
    peak_kl: Interval
    decline: Interval
    gap: Interval
    furthest_kl: float
    peaked: float


class ProxyGoldReport(Frozen):
    """Every method that has both rewards at several strengths."""

    rows: tuple[ProxyGold, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Gains:
    """One strength: its KL in nats, and both gains over the reference policy, over seeds and prompts."""

    strength: float | None
    kl: float
    proxy: Interval
    gold: Interval


@dataclass(frozen=True)
class Traced:
    """A method's strengths with the curves that are fitted through them.

    Attributes:
        row: What the curves say.
        points: By KL.
        proxy: gain over √KL, of the proxy.
        gold: Of the gold reward.
    """

    row: ProxyGold
    points: tuple[Gains, ...]
    proxy: Curve
    gold: Curve


def proxy_gold_report(roots: Sequence[Path], level: float = 0.95) -> ProxyGoldReport:
    """Where gold peaks and how far proxy runs ahead of it, for every method under some result folders.

    Raises:
        UserError: No method has both rewards at two strengths or more.
    """
    results = read_results(roots)
    rows: list[ProxyGold] = []
    for panel in panels(results.records):
        cube = cube_of(panel, read_panel_scores(panel), (KL, PROXY, GOLD))
        rows += [traced.row for traced in traced_methods(panel, cube, level)]
    if not rows:
        where = ", ".join(map(str, roots))
        raise UserError(
            f"{where}: no method has a gold and a proxy reward at two strengths or more, which a curve needs."
        )
    notes = tuple(f"{one.folder} can't be used: {one.reason}." for one in results.broken)
    return ProxyGoldReport(rows=tuple(rows), notes=notes)


def traced_methods(panel: Panel, cube: Cube, level: float = 0.95) -> list[Traced]:
    """The methods of a panel that have both rewards at two strengths or more.

    Args:
        panel: Whose methods.
        cube: With KL, proxy and gold reward.
        level: Nominal coverage.
    """
    if panel.reference is None:
        return []
    base = panel.reference.stored[0].record.cell
    if not all(cube.has(base, metric) for metric in (PROXY, GOLD)):
        return []
    traced = (_traced(panel, series, base, cube, level) for series in panel.trained)
    return [one for one in traced if one is not None]


def _traced(panel: Panel, series: Series, base: str, cube: Cube, level: float) -> Traced | None:
    """One method; None where a reward or a second strength is missing."""
    seeds = _whole_seeds(series, cube)
    if not seeds or len(seeds[0]) < 2:
        return None
    kl, proxy, gold = (_points(seeds, cube, metric) for metric in (KL, PROXY, GOLD))
    start = {metric: _draws(cube.mean(base, metric), cube)[:, None, None] for metric in (PROXY, GOLD)}
    weights = cube.joint.seeds(series.label, len(seeds))
    gains = proxy - start[PROXY], gold - start[GOLD]
    found = overoptimisation(kl, *gains, weights, prompts=len(cube.prompts), level=level)
    row = ProxyGold(
        task=panel.task,
        model=panel.model,
        method=series.label,
        strengths=len(seeds[0]),
        seeds=len(seeds),
        peak_kl=found.peak_kl,
        decline=found.decline,
        gap=found.gap,
        furthest_kl=found.furthest_kl,
        peaked=found.peaked,
    )
    points = [
        Gains(
            strength=settled(series.rows)[i].strength,
            kl=float(kl[0, :, i].mean()),
            proxy=_gain(series, [of[i] for of in seeds], base, cube, PROXY, level),
            gold=_gain(series, [of[i] for of in seeds], base, cube, GOLD, level),
        )
        for i in range(len(seeds[0]))
    ]
    return Traced(row, tuple(sorted(points, key=lambda one: one.kl)), found.proxy, found.gold)


def _gain(series: Series, cells: Sequence[str], base: str, cube: Cube, metric: str, level: float) -> Interval:
    """One strength's metric less the reference policy's."""
    own = cube.term(
        series.label, [cube.mean(cell, metric) for cell in cells], np.isfinite(cube.of(base, metric))
    )
    start = Term("reference", -1.0, cube.mean(base, metric)[:, None], own.scored)
    return cube.joint.contrast([own, start], level).interval


def _whole_seeds(series: Series, cube: Cube) -> list[list[str]]:
    """The cells of the seeds that were measured at every strength, in the order of the strengths."""
    rows = settled(series.rows)
    cells: dict[int, list[str]] = {}
    for row in rows:
        for stored in row.stored:
            cell = stored.record.cell
            if all(cube.has(cell, metric) for metric in (KL, PROXY, GOLD)):
                cells.setdefault(stored.record.spec.seed, []).append(cell)
    return [of for _, of in sorted(cells.items()) if len(of) == len(rows)]


def _points(seeds: Sequence[Sequence[str]], cube: Cube, metric: str) -> Floats:
    """A metric by seed and strength, (1 + R, S, T)."""
    return np.stack(
        [np.stack([_draws(cube.mean(cell, metric), cube) for cell in of], axis=1) for of in seeds], axis=1
    )


def _draws(means: Floats, cube: Cube) -> Floats:
    """(1 + R,) of (1 + P + R,): without the rows that leave a prompt out."""
    return np.concatenate([means[:1], means[1 + len(cube.prompts) :]])
