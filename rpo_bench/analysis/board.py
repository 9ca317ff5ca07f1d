"""The board: everything that the terminal and the page show, computed once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rpo_bench.analysis.evidence import Evidence, evidence, evidence_cube
from rpo_bench.analysis.lengths import bounded_results, bounded_text
from rpo_bench.analysis.panels import Panel, Series, panels
from rpo_bench.analysis.ranking import Ranking, rank
from rpo_bench.analysis.rows import BoardRow, panel_rows
from rpo_bench.analysis.scores import PanelScores, read_panel_scores
from rpo_bench.analysis.verdict import Verdict, verdict
from rpo_bench.results.store import Results
from rpo_bench.stats.oracle import Oracle
from rpo_bench.tasks.oracle_files import find_oracle

#: (task, model) → its oracle.
Oracles = Mapping[tuple[str, str], Oracle]


@dataclass(frozen=True)
class Section:
    """A panel with everything that is shown about it.

    Attributes:
        rows: By series, then strength.
        ranking: The methods at one KL budget; None where they can't be ranked.
        oracle: For the panel's prompts, where there is one.
        no_oracle: Why there is none.
        evidence: The evidence for the verdict.
        unread: Cell → why its scores couldn't be read.
    """

    panel: Panel
    rows: tuple[BoardRow, ...]
    ranking: Ranking | None
    verdict: Verdict
    oracle: Oracle | None
    no_oracle: str | None
    evidence: Evidence
    unread: Mapping[str, str]
    prompts: int

    @property
    def series_of_rows(self) -> list[Series]:
        """Each row's series, in the order of the rows."""
        return [series for series in self.panel.series for _ in series.rows]


@dataclass(frozen=True)
class Board:
    """What there is to show of some results."""

    sections: tuple[Section, ...]
    results: Results

    @property
    def rows(self) -> list[BoardRow]:
        """The rows of all sections."""
        return [row for section in self.sections for row in section.rows]


def make_board(results: Results, oracles: Oracles | None = None, roots: Sequence[Path] = ()) -> Board:
    """Computes the board of some results.

    Args:
        results: What was read.
        oracles: Used where it has one for a panel's task and model; otherwise the task's own is looked up.
        roots: Folders of results, beside which reference samples may be stored.
    """
    given = oracles or {}

    def oracle_of(panel: Panel) -> Oracle | str:
        return given.get((panel.spec.task, panel.spec.model)) or find_oracle(panel.spec, roots)

    bounded = bounded_results(results)
    return Board(tuple(_section(panel, oracle_of) for panel in panels(bounded.records)), bounded)


def _section(panel: Panel, oracle_of: Callable[[Panel], Oracle | str]) -> Section:
    scores = read_panel_scores(panel)
    oracle, reason = _fitting(oracle_of(panel), scores)
    cube = evidence_cube(panel, scores)
    ranking = rank(panel, scores, oracle.end or None if oracle else None, cube)
    return Section(
        panel=panel,
        rows=tuple(panel_rows(panel, scores, cube.joint, oracle)),
        ranking=ranking,
        verdict=verdict(panel, ranking),
        oracle=oracle,
        no_oracle=reason,
        evidence=evidence(panel, cube, ranking),
        unread={cell: bounded_text(reason) for cell, reason in scores.missing.items()},
        prompts=len(scores.prompts),
    )


def _fitting(oracle: Oracle | str, scores: PanelScores) -> tuple[Oracle | None, str | None]:
    """The oracle of the very prompts that were measured, or why there is none."""
    if isinstance(oracle, str):
        return None, bounded_text(oracle)
    selected = oracle.select(scores.prompts)
    return (selected, None) if selected else (None, "it has no samples for some of the prompts")
