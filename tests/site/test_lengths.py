"""Strangers' texts are cut where they enter, each by itself; what the page makes of them never is."""

from pathlib import Path

import pytest
from results_factory import cell_spec, record_of, write_world

from rpo_bench.results.store import Broken, Results, StoredRecord, read_results
from rpo_bench.site.board import make_board
from rpo_bench.site.downloads import csv_text, data_url
from rpo_bench.site.lengths import LONGEST_NAME, LONGEST_TEXT, bounded_results
from rpo_bench.site.page import page

LONG = "n" * 50_000


def texts(value):
    """All texts of a plain value, keys among them."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for item in value.items() for one in item for text in texts(one)]
    return [text for one in value for text in texts(one)] if isinstance(value, (list, tuple)) else []


def metrics(**changes):
    return {"reward": record_of(cell_spec()).metrics["reward"].model_copy(update=changes)}


@pytest.mark.parametrize(
    "changes",
    [
        {"command": LONG},
        {"reason": LONG, "status": "diverged"},
        {"strength_name": LONG},
        {"hashes": {"weights": LONG, LONG: "x"}},
        {"metrics": metrics(backend=LONG)},
        {"metrics": metrics(unscored={LONG: 1})},
        {"metrics": {LONG: record_of(cell_spec()).metrics["reward"]}},
        {"spec": cell_spec(LONG)},
        {"spec": cell_spec(task=LONG, model=LONG)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_every_text_of_a_record_is_cut_and_told_apart(changes):
    """Two that differ behind what is kept stay two."""
    long, other = (
        StoredRecord(Path("x"), record_of(cell_spec()).model_copy(update=changes)),
        StoredRecord(Path("y"), record_of(cell_spec())),
    )
    bounded = bounded_results(Results((long, other), (Broken(Path("z"), LONG),)))
    assert bounded.records[1] is other
    assert max(map(len, texts(bounded.records[0].record.model_dump(mode="json")))) < LONGEST_TEXT + 20
    assert any("… (" in text for text in texts(bounded.records[0].record.model_dump(mode="json")))
    assert len(bounded.broken[0].reason) < LONGEST_TEXT + 40


def test_names_that_differ_behind_their_cut_stay_apart():
    stored = [StoredRecord(Path(end), record_of(cell_spec(LONG + end))) for end in "ab"]
    names = [one.record.spec.method.name for one in bounded_results(Results(tuple(stored))).records]
    assert len(set(names)) == 2
    assert all(len(name) < LONGEST_NAME + 20 for name in names)


def test_what_the_page_carries_of_its_own_is_whole(tmp_path):
    root = write_world(tmp_path, [f"method-{i}" for i in range(18)], seeds=1, strengths=(0.3, 1.0))
    board = make_board(read_results(root))
    whole = data_url(csv_text(board), "text/csv")
    assert len(whole) > LONGEST_TEXT
    text = page(board, [root])
    assert whole.replace("'", "&#39;") in text
    assert "more characters" not in text
