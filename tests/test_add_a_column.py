"""A column of the board, as CONTRIBUTING says: one line in ``site/columns.py`` shows a metric of records."""

import re

from results_factory import cell_spec, metric, record_of, write_cell

from rpo_bench.site import columns
from rpo_bench.site.build import build_leaderboard

LINE = columns.Column("politeness", "Politeness", "share", "higher", 2, "Samples with a courteous word.")


def test_one_line_is_a_head_and_a_value_in_every_row(tmp_path, monkeypatch):
    monkeypatch.setattr(columns, "COLUMNS", (*columns.COLUMNS, LINE))
    for spec, polite in ((cell_spec("reference", None), 0.0), (cell_spec("sft", 1.0), 0.5)):
        metrics = {**record_of(spec).metrics, "politeness": metric([polite] * 4, "share", True)}
        write_cell(tmp_path / "results", spec, metrics=metrics)
    build_leaderboard([tmp_path / "results"], tmp_path / "page")
    page = (tmp_path / "page" / "index.html").read_text()
    assert re.search(r"<th[^>]*>.*?Politeness", page)
    assert "<b>0.50</b>" in page
    assert LINE.about in page


def test_a_row_has_every_metric_of_its_records(tmp_path):
    """So that a column needs no code for its value."""
    spec = cell_spec("sft", 1.0)
    metrics = {**record_of(spec).metrics, "politeness": metric([0.5] * 4, "share", True)}
    write_cell(tmp_path / "results", spec, metrics=metrics)
    board = build_leaderboard([tmp_path / "results"], tmp_path / "page")
    assert board.rows[0].point("politeness") == 0.5
