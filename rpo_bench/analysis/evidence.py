"""The evidence for a verdict: declared comparisons, probability of improvement, proxy against gold."""

from dataclasses import dataclass

from rpo_bench.analysis.cube import Cube, cube_of
from rpo_bench.analysis.families import PRIMARY, family
from rpo_bench.analysis.improvement import improvement_at, turned
from rpo_bench.analysis.items import Item
from rpo_bench.analysis.matched import at_kl
from rpo_bench.analysis.panels import Panel
from rpo_bench.analysis.proxy_gold import GOLD, KL, PROXY, Traced, traced_methods
from rpo_bench.analysis.ranking import Ranking
from rpo_bench.analysis.report import Comparison
from rpo_bench.analysis.scores import PanelScores
from rpo_bench.analysis.section import Options, primary_comparisons
from rpo_bench.analysis.steps import AtSteps, by_steps
from rpo_bench.stats.interval import Interval, empty


@dataclass(frozen=True)
class Wins:
    """P(a run of the row's method earns more at the budget than one of the column's).

    Attributes:
        labels: Methods, best first.
        seeds: Runs of each.
        table: Row over column; the diagonal is empty.
    """

    labels: tuple[str, ...]
    seeds: tuple[int, ...]
    table: tuple[tuple[Interval, ...], ...]


@dataclass(frozen=True)
class Declared:
    """The declared comparisons, and their description."""

    words: str
    comparisons: tuple[Comparison, ...]


@dataclass(frozen=True)
class Evidence:
    """A section's evidence; None or empty where the data don't have it.

    Attributes:
        declared: What ``rpo-bench compare`` says of the declared family's reward at the same budget.
        wins: Method over method.
        traced: Proxy and gold reward of every method that has both.
        by_steps: Methods that were trained with several numbers of steps.
    """

    declared: Declared | None
    wins: Wins | None
    traced: tuple[Traced, ...]
    by_steps: tuple[tuple[AtSteps, ...], ...] = ()


def evidence_cube(panel: Panel, scores: PanelScores) -> Cube:
    """The scores that a ranking and its evidence rest on."""
    return cube_of(panel, scores, (KL, PROXY, GOLD))


def evidence(panel: Panel, cube: Cube, ranking: Ranking | None) -> Evidence:
    """Computes the evidence of a panel.

    Args:
        panel: Whose methods.
        cube: Its KL, gold and proxy rewards; see ``evidence_cube``.
        ranking: Its methods at the KL budget; None: they can't be ranked.
    """
    declared = None if ranking is None else _declared(panel, cube, ranking)
    wins = None if ranking is None else _wins(panel, cube, ranking)
    steps = () if ranking is None else by_steps(panel, cube, ranking.budget)
    return Evidence(declared, wins, tuple(traced_methods(panel, cube)), steps)


def _items(panel: Panel) -> list[Item]:
    return [Item(series.label, series.label, series.rows) for series in panel.trained]


def _declared(panel: Panel, cube: Cube, ranking: Ranking) -> Declared | None:
    items = _items(panel)
    if len(items) < 2 or not any(PRIMARY in stored.record.metrics for stored in panel.records):
        return None
    pairs = family(items, None)
    return Declared(pairs.words, tuple(primary_comparisons(panel, pairs, cube, ranking.budget, Options())))


def _wins(panel: Panel, cube: Cube, ranking: Ranking) -> Wins | None:
    """None for fewer than two methods with two runs each."""
    start = panel.reference.stored[0].record.cell if panel.reference is not None else ""
    by_label = {item.label: item for item in _items(panel)}
    runs = [
        at_kl(by_label[one.label], start, cube, GOLD, ranking.budget).term.measured()
        for one in ranking.standings
    ]
    runs = [term for term in runs if len(term.seeds) > 1]
    if len(runs) < 2:
        return None
    table = [[empty() for _ in runs] for _ in runs]
    for i, first in enumerate(runs):
        for j, second in enumerate(runs[:i]):
            table[i][j] = improvement_at(first, second, cube.joint)
            table[j][i] = turned(table[i][j])
    labels, counts = tuple(term.label for term in runs), tuple(len(term.seeds) for term in runs)
    return Wins(labels, counts, tuple(map(tuple, table)))
