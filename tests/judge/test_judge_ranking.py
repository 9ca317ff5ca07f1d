"""Rankings by a judge and by the truth, the matrix, and agreement of two judges."""

import dataclasses

import numpy as np
import pytest
from results_factory import cell_spec, write_cell

from rpo_bench.judge.agreement import judges_agree, win_matrix
from rpo_bench.judge.pairing import label_of
from rpo_bench.judge.questions import Question
from rpo_bench.judge.ranking import rankings
from rpo_bench.results.store import read_results

WORTH = {"sft": 0.2, "kto": 0.4, "dro": 0.6, "rpo": 0.8}


@pytest.fixture
def world(tmp_path):
    """Four methods and the reference, and their labels."""
    for method in ("reference", *WORTH):
        write_cell(tmp_path, cell_spec(method, None if method == "reference" else 0.3))
    records = read_results([tmp_path]).records
    return records, {one.record.spec.method.name: label_of(one) for one in records}


def question(i, model, baseline, score):
    return Question(f"p{i:03}/0", model, baseline, score, None, False, 10, 10)


def judged(labels, worth, noise=0.0):
    rng = np.random.default_rng(0)
    return [
        question(i, labels[m], labels["reference"], float(np.clip(w + noise * rng.normal(), 0, 1)))
        for m, w in worth.items()
        for i in range(40)
    ]


def rewards(labels):
    return {labels[m]: {f"p{i:03}/0": w for i in range(40)} for m, w in WORTH.items()}


def test_a_judge_that_follows_the_truth_ranks_alike(world):
    records, labels = world
    (found,) = rankings(records, judged(labels, WORTH, 0.05), rewards(labels))
    assert found.correlation.point == pytest.approx(1)
    assert [row.name for row in found.rows] == ["rpo@0.3", "dro@0.3", "kto@0.3", "sft@0.3"]
    assert [row.judge_rank for row in found.rows] == [(i, i, i) for i in (1, 2, 3, 4)]


def test_a_judge_that_turns_two_around(world):
    """Ranks 1 2 3 4 against 2 1 3 4: Spearman's 1 − 6·2/(4·15) = 0.8."""
    records, labels = world
    (found,) = rankings(records, judged(labels, {**WORTH, "dro": 0.8, "rpo": 0.6}, 0.05), rewards(labels))
    assert found.correlation.point == pytest.approx(0.8)


def test_a_judge_that_knows_nothing_has_wide_ranks(world):
    records, labels = world
    (found,) = rankings(records, judged(labels, dict.fromkeys(WORTH, 0.5), 0.3), rewards(labels))
    assert found.correlation.low < 0 < found.correlation.high or found.correlation.high < 1
    assert all(row.judge_rank[2] - row.judge_rank[1] >= 2 for row in found.rows)
    assert all(row.gold_rank[1] == row.gold_rank[2] for row in found.rows)


def test_the_correlation_lies_in_its_interval(world):
    """Resampled rankings are noisier than the ranking itself, so that percentiles would miss it."""
    records, labels = world
    (found,) = rankings(records, judged(labels, WORTH, 0.6), rewards(labels))
    assert found.correlation.low < found.correlation.point <= found.correlation.high <= 1


def test_who_was_not_judged_against_the_reference_is_not_ranked(world):
    records, labels = world
    against_sft = [question(i, labels["rpo"], labels["sft"], 1.0) for i in range(40)]
    assert rankings(records, against_sft, rewards(labels)) == []


def test_the_matrix_tells_both_ways():
    """Three of four won against b is one of four the other way."""
    found = win_matrix([question(i, "a", "b", float(i < 3)) for i in range(4)])
    assert found == {"a": {"b": 0.75}, "b": {"a": 0.25}}


def test_two_judges():
    """Outcomes W W L T against W L L W: two of four alike; without the tie two of three, κ = 0.4."""
    one = [question(i, "a", "b", score) for i, score in enumerate((1.0, 1.0, 0.0, 0.5))]
    other = [question(i, "a", "b", score) for i, score in enumerate((1.0, 0.0, 0.0, 1.0))]
    found = judges_agree(one, other)
    assert (found.questions, found.same) == (4, 0.5)
    assert found.kappa_without_ties == pytest.approx(0.4)
    assert judges_agree(one, []).same is None


def test_identical_responses_are_no_agreement():
    """Two judges that contradict each other wherever they are asked, and two ties that nobody judged."""
    tie = [dataclasses.replace(question(i, "m", "b", 0.5), asked=False) for i in (8, 9)]
    one = [question(i, "m", "b", 1.0) for i in range(4)] + tie
    other = [question(i, "m", "b", 0.0) for i in range(4)] + tie
    found = judges_agree(one, other)
    assert (found.questions, found.same) == (4, 0.0)
    assert judges_agree(tie, tie).same is None
