"""The rank in every row of the table: that of its method at equal KL."""

from dataclasses import dataclass

from rpo_bench.analysis.board import Board
from rpo_bench.analysis.panels import settled
from rpo_bench.site.ranking_plot import rank_text


@dataclass(frozen=True)
class RowRank:
    """The rank of a row's method at equal KL: its order, its range of ranks, and how many are ranked."""

    order: float
    ranks: str
    of: int
    best: bool


def row_ranks(board: Board) -> dict[str, RowRank]:
    """Row's key → its method's rank; without rows that are unranked or don't count at equal KL."""
    found: dict[str, RowRank] = {}
    for section in board.sections:
        if section.ranking is None:
            continue
        by_label = {}
        for one in section.ranking.standings:
            if one.ranks is not None:
                order = section.ranking.ahead(one.label) + (0.5 if one.added else 1)
                by_label[one.label] = RowRank(order, rank_text(one), one.of, one.best)
        for series, row in zip(section.series_of_rows, section.rows, strict=True):
            if row.method in by_label and row.strength in {of.strength for of in settled(series.rows)}:
                found[row.key] = by_label[row.method]
    return found
