"""Which way is better comes from the metric, in counts of prompts, verdicts and the gate alike."""

from pathlib import Path

import numpy as np
import pytest
from results_factory import cell_spec, metric
from worlds import write_scored

from rpo_bench.analysis.build import compare
from rpo_bench.analysis.render import worse
from rpo_bench.analysis.section import Options
from rpo_bench.results.store import read_results
from rpo_bench.site.columns import COLUMNS
from rpo_bench.stats.aggregates import Anchors, performance_profile

PROMPTS = 8


def published():
    """Metric → whether more of it is better, as the published records have it."""
    folder = next((Path(__file__).parents[2] / "results" / "civil_qa" / "decoder").glob("rpo-*"))
    (stored,) = read_results(folder).records
    return {name: one.higher_is_better for name, one in sorted(stored.record.metrics.items())}


PUBLISHED = published()


@pytest.fixture(scope="module")
def sections(tmp_path_factory):
    """A method that is better than another by about 0.5 in every prompt, as first and as second."""
    root, rng = tmp_path_factory.mktemp("world"), np.random.default_rng(0)
    for method, sign in (("good", 1), ("bad", -1)):
        for seed in range(3):
            scores, told = {}, {}
            for name, better in PUBLISHED.items():
                way = -1 if better is False else 1
                scores[name] = (way * sign * (0.25 + 0.01 * rng.normal(size=PROMPTS))).tolist()
                told[name] = metric(scores[name], better=better)
            write_scored(root, cell_spec(method, 1.0, seed), scores, told)
    options = Options(resamples=200, prompts=0, metrics=("all",))
    return {pair: compare(pair, [root], options) for pair in (("good", "bad"), ("bad", "good"))}


def test_both_ways_and_neither_are_among_the_metrics():
    assert set(PUBLISHED.values()) == {True, False, None}


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_is_better_in_every_prompt_wins_every_prompt(sections, name):
    words = ("higher", "lower") if PUBLISHED[name] is None else ("better", "worse")
    for pair, word in zip((("good", "bad"), ("bad", "good")), words, strict=True):
        report = sections[pair]
        (one,) = (c for section in report.sections for c in section.comparisons if c.metric == name)
        assert one.verdict == word
        won, lost = (PROMPTS, 0) if pair[0] == "good" else (0, PROMPTS)
        assert (one.wins, one.ties, one.losses) == (won, 0, lost)
        assert bool(worse(report, name)[0]) == (word == "worse")


def test_two_records_that_disagree_about_the_direction_get_no_better(tmp_path):
    for method, better, value in (("a", True, 1.0), ("b", False, 0.0)):
        for seed in range(3):
            scores = {"reward": [value + 0.01 * seed + 0.02 * prompt for prompt in range(4)]}
            told = {"reward": metric(scores["reward"], better=better)}
            write_scored(tmp_path, cell_spec(method, 1.0, seed), scores, told)
    (section,) = compare(("a", "b"), [tmp_path], Options(resamples=200)).sections
    assert {one.verdict for one in section.comparisons} == {"higher"}


def test_the_table_s_arrows_are_the_metrics_own():
    ways = {True: "higher", False: "lower", None: ""}
    own = {name: ways[better] for name, better in PUBLISHED.items()}
    shown = {column.metric: column.better for column in COLUMNS if column.metric in own}
    assert shown == {name: own[name] for name in shown}
    assert len(shown) > 5


@pytest.mark.parametrize("sign", [1, -1])
def test_a_share_of_the_way_to_the_oracle_has_no_direction_left(sign):
    """The reference at 0 and the oracle at ±2: ±1.5 is three quarters of the way, ±0.5 a quarter."""
    shares = Anchors(0.0, sign * 2.0).normalise(sign * np.array([[1.5], [0.5]]))
    assert performance_profile(shares, np.array([0.25, 0.5])).tolist() == [0.5, 0.5]
