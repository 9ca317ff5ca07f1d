"""What README and docs say of how much is published is what results/ and leaderboard/ hold."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from rpo_bench.results.schema import Record
from rpo_bench.results.store import read_results

ROOT = Path(__file__).parents[2]
MEGABYTE = 1e6


@dataclass(frozen=True)
class Published:
    """All records, and how many values of each kind those of trained policies have."""

    records: list[Record]

    @property
    def trained(self):
        return [record for record in self.records if record.spec.strength is not None]

    def counted(self, what):
        return len({what(record.spec) for record in self.trained})

    @property
    def models(self):
        return self.counted(lambda spec: spec.model)

    @property
    def rows(self):
        return self.counted(lambda spec: (spec.model, spec.method.name, spec.strength))

    @property
    def shape(self):
        """Methods, strengths of each, seeds."""
        methods = self.counted(lambda spec: spec.method.name)
        return [methods, self.rows // methods // self.models, self.counted(lambda spec: spec.seed)]


@pytest.fixture(scope="module")
def published():
    return Published([stored.record for stored in read_results(ROOT / "results").records])


def in_text(file, pattern):
    (found,) = re.findall(pattern, (ROOT / file).read_text())
    return [int(number.replace(",", "")) for number in ([found] if isinstance(found, str) else found)]


@pytest.mark.parametrize(
    ("file", "pattern", "expected"),
    [
        (
            "README.md",
            r"(\d+) checkpoints are published in .*?: (\d+) methods × (\d+) strengths × (\d+) seeds",
            lambda of: [len(of.trained), *of.shape],
        ),
        ("docs/findings.md", r"(\d+) methods × (\d+) strengths × (\d+) training seeds", lambda of: of.shape),
        (
            "docs/findings.md",
            r"(\d+) checkpoints and their two reference policies",
            lambda of: [len(of.trained)],
        ),
        ("docs/findings.md", r"ranking of the (\d+) rows", lambda of: [of.rows // of.models]),
        ("docs/judge.md", r"pairs of the (\d+) policies", lambda of: [len(of.records)]),
        ("docs/leaderboard.md", r"The (\d+) published records take", lambda of: [len(of.records)]),
        (
            "docs/leaderboard.md",
            r"cards and ([\d,]+) samples",
            lambda of: [round(sum(record.metrics["reward"].scored for record in of.records), -3)],
        ),
    ],
)
def test_what_the_docs_count_is_there(published, file, pattern, expected):
    assert in_text(file, pattern) == expected(published)


def test_there_are_two_reference_policies_and_the_page_counts_the_rest_too(published):
    assert len(published.records) - len(published.trained) == 2
    page = (ROOT / "leaderboard" / "index.html").read_text()
    assert f"<dd>{len(published.records)} checkpoints read" in page
    assert sum(map(int, re.findall(r"; (\d+) checkpoints\. Measured on", page))) == len(published.trained)
    assert page.count("<tr data-row=") == published.rows + published.models


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
