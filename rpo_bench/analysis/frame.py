"""A comparison as a pandas table."""

from typing import TYPE_CHECKING

from rpo_bench.analysis.render import COLUMNS, csv_rows
from rpo_bench.analysis.report import Report

if TYPE_CHECKING:
    import pandas as pd


def comparisons_frame(report: Report) -> "pd.DataFrame":
    """One row per comparison, with the columns of ``compare --format csv``."""
    import pandas as pd

    return pd.DataFrame(csv_rows(report), columns=list(COLUMNS))
