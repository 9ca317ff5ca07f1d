"""What README and docs say of how much is published is what results/ and leaderboard/ hold."""

import re
from pathlib import Path

import pytest

from rpo_bench.results.store import read_results

ROOT = Path(__file__).parents[2]
RECORDS = [stored.record for stored in read_results(ROOT / "results").records]
TRAINED = [record for record in RECORDS if record.spec.strength is not None]
MEGABYTE = 1e6


def counted(records, what):
    return len({what(record.spec) for record in records})


def in_text(file, pattern):
    (found,) = re.findall(pattern, (ROOT / file).read_text())
    return [int(number.replace(",", "")) for number in ([found] if isinstance(found, str) else found)]


METHODS = counted(TRAINED, lambda spec: spec.method.name)
SEEDS = counted(TRAINED, lambda spec: spec.seed)
ROWS = counted(TRAINED, lambda spec: (spec.model, spec.method.name, spec.strength))
MODELS = counted(TRAINED, lambda spec: spec.model)
SHAPE = [METHODS, ROWS // METHODS // MODELS, SEEDS]


@pytest.mark.parametrize(
    ("file", "pattern", "expected"),
    [
        (
            "README.md",
            r"(\d+) checkpoints are published in .*?: (\d+) methods × (\d+) strengths × (\d+) seeds",
            [len(TRAINED), *SHAPE],
        ),
        ("docs/findings.md", r"(\d+) methods × (\d+) strengths × (\d+) training seeds", SHAPE),
        ("docs/findings.md", r"(\d+) checkpoints and their two reference policies", [len(TRAINED)]),
        ("docs/findings.md", r"ranking of the (\d+) rows", [ROWS // MODELS]),
        ("docs/judge.md", r"pairs of the (\d+) policies", [len(RECORDS)]),
        ("docs/leaderboard.md", r"The (\d+) published records take", [len(RECORDS)]),
        (
            "docs/leaderboard.md",
            r"cards and ([\d,]+) samples",
            [round(sum(record.metrics["reward"].scored for record in RECORDS), -3)],
        ),
    ],
)
def test_what_the_docs_count_is_there(file, pattern, expected):
    assert in_text(file, pattern) == expected


def test_there_are_two_reference_policies_and_the_page_counts_the_rest_too():
    assert len(RECORDS) - len(TRAINED) == 2
    page = (ROOT / "leaderboard" / "index.html").read_text()
    assert f"<dd>{len(RECORDS)} checkpoints read" in page
    assert sum(map(int, re.findall(r"; (\d+) checkpoints\. Measured on", page))) == len(TRAINED)
    assert page.count("<tr data-row=") == ROWS + MODELS


def test_the_sizes_that_the_docs_name_are_those_of_the_files():
    """To a tenth of their size: another build may pack a little otherwise."""
    text = (ROOT / "docs" / "leaderboard.md").read_text()
    told = re.search(
        r"take ([\d.]+) MB for the page, ([\d.]+) MB for the table as JSON and ([\d.]+) MB", text
    )
    folder = ROOT / "leaderboard"
    scripts = sum(file.stat().st_size for file in (folder / "data").glob("*.js"))
    sizes = [
        (folder / "index.html").stat().st_size,
        (folder / "data" / "rpo-bench.json").stat().st_size,
        scripts,
    ]
    assert [float(one) for one in told.groups()] == pytest.approx([one / MEGABYTE for one in sizes], rel=0.1)
