"""Many questions at once, ranks, and aggregates over tasks."""

import numpy as np
import pytest
from scipy import stats

from rpo_bench.stats.aggregates import (
    Anchors,
    aggregate_interval,
    interquartile_mean,
    iqm,
    performance_profile,
    probability_of_improvement,
)
from rpo_bench.stats.multiplicity import benjamini_hochberg, holm
from rpo_bench.stats.ranks import rank_intervals


def test_holm_by_hand():
    """p = .01, .04, .03: sorted .01·3, .03·2, .04·1 → .03, .06, max(.06, .04) = .06."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_benjamini_hochberg_is_scipys(rng: np.random.Generator):
    p = rng.random(40) ** 3
    assert benjamini_hochberg(list(p)) == pytest.approx(stats.false_discovery_control(p))


def test_a_test_that_could_not_be_made_still_counts_as_asked():
    assert holm([0.01, None]) == [0.02, None]
    assert benjamini_hochberg([None, 0.02]) == [None, 0.04]


def test_holm_keeps_the_family_wise_error(rng: np.random.Generator):
    """5,000 families of 6 true nulls: any adjusted p ≤ .05 in at most 5 % (± 0.9 %)."""
    wrong = [min(holm(list(p))) <= 0.05 for p in rng.random((5000, 6))]
    assert np.mean(wrong) == pytest.approx(0.05, abs=0.012)


def test_ranks_are_what_the_shown_differences_leave_open():
    """Points 3, 2, 1. Only the first against the last is shown: first 1–2, middle 1–3, last 2–3."""
    p = np.array([[np.nan, 0.2, 0.01], [0.2, np.nan, 0.3], [0.01, 0.3, np.nan]])
    assert rank_intervals(p, np.array([3.0, 2.0, 1.0])) == [(1, 2), (1, 3), (2, 3)]
    assert rank_intervals(np.full((2, 2), np.nan), np.array([1.0, 2.0])) == [(1, 2), (1, 2)]


def test_the_interquartile_mean_is_the_25_percent_trimmed_mean(rng: np.random.Generator):
    values = rng.normal(size=(5, 40))
    assert interquartile_mean(values) == pytest.approx(stats.trim_mean(values, 0.25, axis=1))
    assert interquartile_mean(np.array([1.0, 2.0, 3.0, 100.0])) == pytest.approx(2.5)
    assert interquartile_mean(np.array([7.0])) == 7.0
    assert interquartile_mean(np.array([1.0, np.nan, 2.0, 3.0, 100.0])) == pytest.approx(2.5)
    # Of three numbers the middle half is all of the second and a quarter of each other.
    assert interquartile_mean(np.array([0.0, 3.0, 9.0])) == pytest.approx((3.0 + 0.25 * 9) / 1.5)
    assert np.isnan(interquartile_mean(np.array([np.nan])))


def test_the_probability_of_improvement_is_mann_whitneys(rng: np.random.Generator):
    first, second = rng.normal(0.5, 1, (6, 3)), rng.normal(size=(4, 3))
    theirs = np.mean([stats.mannwhitneyu(first[:, t], second[:, t]).statistic / 24 for t in range(3)])
    assert probability_of_improvement(first, second) == pytest.approx(theirs)
    assert probability_of_improvement(first, first) == pytest.approx(0.5)


def test_anchors_belong_to_the_task_not_to_the_data():
    """Reference 0.2 is 0 and oracle 1.2 is 1: 0.7 is one half, whatever else was measured."""
    anchors = Anchors(0.2, 1.2)
    assert anchors.normalise(np.array([0.2, 0.7, 1.2, 2.2])) == pytest.approx([0, 0.5, 1, 2])
    for zero, one in ((1.0, 1.0), (float("nan"), 1.0)):
        with pytest.raises(ValueError, match="anchors"):
            Anchors(zero, one)


def test_a_profile_is_the_share_of_runs_above_each_threshold():
    scores = np.array([[0.1, 0.9], [0.4, 0.6]])
    assert performance_profile(scores, np.array([0.0, 0.5, 0.8, 1.0])).tolist() == [1.0, 0.5, 0.25, 0.0]


def test_aggregates_have_intervals_or_say_that_they_have_none(rng: np.random.Generator):
    found = aggregate_interval(rng.normal(size=(5, 3)), iqm, rng, resamples=300)
    assert found.low < found.point < found.high
    assert (found.n, found.levels) == (5, ("training seeds",))
    for runs in (1, 3):  # one run, or three that say the same
        assert aggregate_interval(np.full((runs, 3), 0.3), iqm, rng, resamples=99).low is None
    assert aggregate_interval(np.full((3, 2), np.nan), iqm, rng).point is None
