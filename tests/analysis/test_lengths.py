"""Strangers' texts are cut where they enter, each by itself; what the page makes of them never is."""

import gzip
import json
import random
from pathlib import Path

import pytest
from results_factory import cell_spec, record_of, write_world
from site_pages import add_samples

from rpo_bench.analysis.board import make_board
from rpo_bench.analysis.lengths import (
    LONGEST_NAME,
    LONGEST_SAMPLE,
    LONGEST_SAMPLES,
    LONGEST_TEXT,
    bounded_results,
    bounded_samples,
)
from rpo_bench.results.store import SAMPLES_FILE, Broken, Results, StoredRecord, read_results
from rpo_bench.site.data_files import data_files
from rpo_bench.site.downloads import csv_text, data_url
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
        {"spec": cell_spec(LONG[:1000])},
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
    stored = [StoredRecord(Path(end), record_of(cell_spec(LONG[:999] + end))) for end in "ab"]
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


@pytest.mark.parametrize(
    "lengths",
    [[10, 500], [300_000], [300_000] * 48, [5_000] * 4_000, [10, 300_000] * 2_000],
    ids=["short", "one", "a row", "many", "mixed"],
)
def test_prompts_and_responses_fit_into_a_browser(lengths):
    """Each is within its bound and all of them together; what was cut says so, the rest is as it was."""
    texts = ["x" * length for length in lengths]
    found = bounded_samples(texts, "samples.jsonl.gz")
    assert max(map(len, found)) <= LONGEST_SAMPLE + 60
    assert sum(map(len, found)) <= LONGEST_SAMPLES + 60 * len(found)
    for text, shown in zip(texts, found, strict=True):
        kept = len(shown.partition("…")[0])
        told = f"… ({len(text) - kept:,} more characters in samples.jsonl.gz)"
        assert shown == (text if kept == len(text) else text[:kept] + told)


def test_samples_beside_the_page_are_bounded(tmp_path):
    """Random texts of 300,000 characters, which no compression makes small."""
    root = write_world(tmp_path, ["rpo"], seeds=1, strengths=(0.3,))
    add_samples(root)
    for file in root.rglob(SAMPLES_FILE):
        lines = [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
        for i, line in enumerate(lines):
            line["text"] = line["prompt"] = random.Random(i // 2).randbytes(150_000).hex()
        file.write_bytes(gzip.compress("\n".join(map(json.dumps, lines)).encode(), 1))
    sizes = {file.name: len(file.text) for file in data_files(make_board(read_results(root)))}
    assert max(sizes.values()) < 1_000_000
