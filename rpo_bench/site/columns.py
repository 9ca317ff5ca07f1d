"""The columns of the board: title, unit, direction and description."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rpo_bench.analysis.rows import BoardRow


@dataclass(frozen=True)
class Column:
    """A metric of the table.

    Attributes:
        metric: Its name in the record, or "regret".
        title: The column's heading.
        unit: Its unit.
        better: "higher", "lower", or empty where neither is better.
        digits: Decimals to show.
        about: Its description, one sentence.
    """

    metric: str
    title: str
    unit: str
    better: Literal["higher", "lower", ""]
    digits: int
    about: str

    @property
    def name(self) -> str:
        """A title that is unique without the unit."""
        return _NAMES.get(self.metric, self.title)


_NAMES = {"win_rate_equal_length": "Win rate at equal length"}


COLUMNS = (
    Column("reward", "Reward", "", "higher", 3, "Mean gold reward of the samples, on the task's own scale."),
    Column("kl", "KL", "nats", "", 3, "KL to the reference policy per response: the mean log-ratio."),
    Column("regret", "Regret", "", "lower", 3, "Reward of the optimal policy at the same KL minus its own."),
    Column("toxicity", "Toxicity", "", "lower", 3, "Mean toxicity of the samples, by the named classifier."),
    Column("win_rate", "Win rate", "against reference", "higher", 3,
           "Share of comparisons won against the untrained reference policy, by the judge below, in both "
           "orders. 0.5 means no better."),
    Column("win_rate_equal_length", "Win rate", "at equal length", "higher", 3,
           "The same win rate at equal response length, by logistic regression on the length difference."),
    Column("distinct_2", "Distinct-2", "", "higher", 3,
           "Distinct word pairs as a share of all word pairs in a checkpoint's samples."),
    Column("length", "Length", "tokens", "", 1, "Tokens per sample."),
)  # fmt: skip


_OPTIONAL = ("win_rate", "win_rate_equal_length")  # only with a judge


def shown_columns(rows: Sequence[BoardRow]) -> tuple[Column, ...]:
    """The table's columns; win rates only where a judge ran."""
    return tuple(
        column
        for column in COLUMNS
        if column.metric not in _OPTIONAL or any(row.point(column.metric) is not None for row in rows)
    )
