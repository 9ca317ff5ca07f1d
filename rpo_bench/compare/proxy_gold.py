"""Over-optimisation of stored results: proxy and gold reward of every method over how far it went."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rpo_bench.compare.cube import Cube, cube_of
from rpo_bench.compare.panels import Panel, Series, panels
from rpo_bench.compare.scores import read_panel_scores
from rpo_bench.errors import UserError
from rpo_bench.overoptimisation import overoptimisation
from rpo_bench.results.schema import Interval
from rpo_bench.results.store import read_results
from rpo_bench.spec import Frozen

Floats = NDArray[np.float64]

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


def proxy_gold_report(roots: Sequence[Path], level: float = 0.95) -> ProxyGoldReport:
    """Where gold peaks and how far proxy runs ahead of it, for every method under some result folders.

    Raises:
        UserError: No method has both rewards at two strengths or more.
    """
    results = read_results(roots)
    rows: list[ProxyGold] = []
    for panel in panels(results.records):
        cube = cube_of(panel, read_panel_scores(panel), (KL, PROXY, GOLD))
        rows += [row for series in panel.trained if (row := _row(panel, series, cube, level)) is not None]
    if not rows:
        where = ", ".join(map(str, roots))
        raise UserError(
            f"{where}: no method has a gold and a proxy reward at two strengths or more, which a curve needs."
        )
    notes = tuple(f"{one.folder} can't be used: {one.reason}." for one in results.broken)
    return ProxyGoldReport(rows=tuple(rows), notes=notes)


def _row(panel: Panel, series: Series, cube: Cube, level: float) -> ProxyGold | None:
    """One method; None where a reward, the reference policy or a second strength is missing."""
    if panel.reference is None:
        return None
    base = panel.reference.stored[0].record.cell
    seeds = _whole_seeds(series, cube)
    if not seeds or len(seeds[0]) < 2 or not all(cube.has(base, metric) for metric in (PROXY, GOLD)):
        return None
    kl, proxy, gold = (_points(seeds, cube, metric) for metric in (KL, PROXY, GOLD))
    start = {metric: _draws(cube.mean(base, metric), cube)[:, None, None] for metric in (PROXY, GOLD)}
    weights = cube.joint.seeds(series.label, len(seeds))
    found = overoptimisation(kl, proxy - start[PROXY], gold - start[GOLD], weights, level=level)
    return ProxyGold(
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


def _whole_seeds(series: Series, cube: Cube) -> list[list[str]]:
    """The cells of the seeds that were measured at every strength, in the order of the strengths."""
    cells: dict[int, list[str]] = {}
    for row in series.rows:
        for stored in row.stored:
            cell = stored.record.cell
            if all(cube.has(cell, metric) for metric in (KL, PROXY, GOLD)):
                cells.setdefault(stored.record.spec.seed, []).append(cell)
    return [of for _, of in sorted(cells.items()) if len(of) == len(series.rows)]


def _points(seeds: Sequence[Sequence[str]], cube: Cube, metric: str) -> Floats:
    """A metric by seed and strength, (1 + R, S, T)."""
    return np.stack(
        [np.stack([_draws(cube.mean(cell, metric), cube) for cell in of], axis=1) for of in seeds], axis=1
    )


def _draws(means: Floats, cube: Cube) -> Floats:
    """(1 + R,) of (1 + P + R,): without the rows that leave a prompt out."""
    return np.concatenate([means[:1], means[1 + len(cube.prompts) :]])
