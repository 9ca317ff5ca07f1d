"""The columns of the board: what each is called, counted in, and says."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rpo_bench.analysis.rows import BoardRow


@dataclass(frozen=True)
class Column:
    """A metric of the table.

    Attributes:
        metric: Its name in the record, or "regret".
        title: The column's head.
        unit: What it is counted in.
        better: "higher", "lower", or nothing where neither is.
        digits: Decimals that are shown.
        about: What it says, in one sentence.
    """

    metric: str
    title: str
    unit: str
    better: Literal["higher", "lower", ""]
    digits: int
    about: str

    @property
    def name(self) -> str:
        """Its title where its unit doesn't stand beneath it."""
        return _NAMES.get(self.metric, self.title)


_NAMES = {"win_rate_equal_length": "Win rate at equal length"}


COLUMNS = (
    Column("reward", "Reward", "", "higher", 3, "Mean gold reward of the samples, on the task's own scale."),
    Column("kl", "KL", "nats", "", 3, "KL to the reference policy per response, the mean log-ratio."),
    Column("regret", "Regret", "", "lower", 3, "The optimal policy's reward at the same KL, less its own."),
    Column("toxicity", "Toxicity", "", "lower", 3, "Mean toxicity of the samples, by the named classifier."),
    Column("win_rate", "Win rate", "against reference", "higher", 3,
           "Share of questions won against the untrained reference policy, by the judge below, asked in both "
           "orders; 0.5 is no better than it."),
    Column("win_rate_equal_length", "Win rate", "at equal length", "higher", 3,
           "The same win rate for responses of equal length, by a logistic regression on the difference."),
    Column("distinct_2", "Distinct-2", "", "higher", 3,
           "Different word pairs as a share of all word pairs, over a checkpoint's samples."),
    Column("length", "Length", "tokens", "", 1, "Tokens per sample."),
)  # fmt: skip


_OPTIONAL = ("win_rate", "win_rate_equal_length")  # by a judge, where there is one


def shown_columns(rows: Sequence[BoardRow]) -> tuple[Column, ...]:
    """The table's columns: a judge's only where something was judged."""
    return tuple(
        column
        for column in COLUMNS
        if column.metric not in _OPTIONAL or any(row.point(column.metric) is not None for row in rows)
    )
