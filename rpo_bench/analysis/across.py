"""Methods over several tasks and base models: scores normalised by anchors that no method affects."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from rpo_bench.analysis.cube import cube_of
from rpo_bench.analysis.improvement import improvement
from rpo_bench.analysis.items import Item
from rpo_bench.analysis.matched import at_kl
from rpo_bench.analysis.panels import Panel, panels
from rpo_bench.analysis.protocol_notes import protocol_notes
from rpo_bench.analysis.scores import read_panel_scores
from rpo_bench.errors import UserError
from rpo_bench.results.store import read_results
from rpo_bench.spec.settings import Frozen
from rpo_bench.stats.aggregates import (
    Anchors,
    aggregate_interval,
    iqm,
    performance_profile,
)
from rpo_bench.stats.arrays import Floats
from rpo_bench.stats.interval import Interval
from rpo_bench.stats.oracle import reward_on
from rpo_bench.stats.seeding import generator
from rpo_bench.tasks.oracle_files import find_oracle

#: The KL at which methods are compared over tasks, in nats: fixed, so that no method affects it.
BUDGET = 0.5
#: Shares of the oracle's gain at which the performance profile is reported.
THRESHOLDS = (0.25, 0.5, 0.75)

_RESAMPLES = 5_000


class Aggregate(Frozen):
    """A method over all places: 0 is the reference policy, 1 the oracle at the same KL."""

    method: str
    seeds: int
    by_place: dict[str, float]
    iqm: Interval
    improvement: Interval | None
    profile: dict[str, float]


class AggregateReport(Frozen):
    """Methods that every place has, best first."""

    places: tuple[str, ...]
    budget: float
    baseline: str
    rows: tuple[Aggregate, ...]
    notes: tuple[str, ...] = ()


def aggregate_report(roots: Sequence[Path], baseline: str = "sft") -> AggregateReport:
    """The interquartile mean, probability of improvement and performance profile of every method.

    A score is a training seed's gain over the reference policy at ``BUDGET`` nats, as a share of the gain of
    the oracle there; a frontier that ends before stays where it ends.

    Args:
        roots: Folders of results.
        baseline: The method that the probability of improvement is over.

    Raises:
        UserError: Fewer than two places have an oracle, a reference policy, and methods in common.
    """
    results = read_results(roots)
    places: dict[str, Mapping[str, Floats]] = {}
    notes = [f"{one.folder} can't be used: {one.reason}." for one in results.broken]
    for panel in panels(results.records):
        found = normalised(panel, roots)
        name = f"{panel.task}, {panel.model}"
        if isinstance(found, str):
            notes.append(f"{name} is left out: {found}.")
        else:
            places[name] = found
            notes += [f"{name}: {note}" for note in protocol_notes(panel)]
    shared = [m for m in next(iter(places.values()), {}) if all(m in of for of in places.values())]
    if len(places) < 2 or not shared:
        why = f" {' '.join(notes)}" if notes else ""
        raise UserError(
            f"{', '.join(map(str, roots))}: an aggregate needs two tasks or base models with methods in "
            f"common, each with its reference policy and an oracle.{why}"
        )
    tables = {method: _table([of[method] for of in places.values()]) for method in shared}
    rows = [_row(method, tables, tuple(places), baseline) for method in shared]
    rows.sort(key=lambda row: (-(row.iqm.point if row.iqm.point is not None else -math.inf), row.method))
    return AggregateReport(
        places=tuple(places), budget=BUDGET, baseline=baseline, rows=tuple(rows), notes=tuple(notes)
    )


def normalised(panel: Panel, roots: Sequence[Path]) -> dict[str, Floats] | str:
    """Every method's normalised scores by training seed, (S,), or why there are none."""
    oracle = find_oracle(panel.spec, roots)
    if isinstance(oracle, str):
        return f"it has no oracle ({oracle})"
    if panel.reference is None:
        return "its reference policy wasn't measured"
    cube = cube_of(panel, read_panel_scores(panel), ("kl", "reward"), resamples=2)
    known = oracle.select(cube.prompts)
    base = panel.reference.stored[0].record.cell
    if known is None or known.end < BUDGET or not cube.has(base, "reward"):
        return f"its oracle doesn't reach {BUDGET:g} nats on these prompts"
    best = reward_on(known.kl.mean(0)[None], known.reward.mean(0)[None], np.array([BUDGET]))[0]
    zero = reward_on(known.kl.mean(0)[None], known.reward.mean(0)[None], np.array([0.0]))[0]
    anchors = Anchors(float(zero), float(best))
    items = [Item(series.label, series.label, series.rows) for series in panel.trained]
    found = {item.label: at_kl(item, base, cube, "reward", BUDGET).term.seeds for item in items}
    return {label: anchors.normalise(seeds) for label, seeds in found.items() if len(seeds)}


def _table(columns: Sequence[Floats]) -> Floats:
    """(S, T): as many seeds as every place has."""
    count = min(map(len, columns))
    return np.stack([column[:count] for column in columns], axis=1)


def _row(method: str, tables: Mapping[str, Floats], places: tuple[str, ...], baseline: str) -> Aggregate:
    table = tables[method]
    rng = generator(method, *places, "aggregate")
    better = None
    if baseline in tables and method != baseline:
        better = improvement(table, tables[baseline], rng)
    profile = performance_profile(table, np.array(THRESHOLDS))
    return Aggregate(
        method=method,
        seeds=len(table),
        by_place=dict(zip(places, map(float, table.mean(0)), strict=True)),
        iqm=aggregate_interval(table, iqm, rng, resamples=_RESAMPLES),
        improvement=better,
        profile={f"{t:g}": float(share) for t, share in zip(THRESHOLDS, profile, strict=True)},
    )
