"""One number per training seed: Student's and Welch's intervals, as SciPy has them."""

import numpy as np
import pytest
from scipy import stats

from rpo_bench.stats.interval import Interval
from rpo_bench.stats.per_seed import mean_of_checkpoints, mean_over_seeds, welch_difference


def test_one_number_per_seed_has_students_interval(rng: np.random.Generator):
    values = rng.normal(size=5)
    interval = mean_over_seeds(values)
    theirs = stats.ttest_1samp(values, 0).confidence_interval()
    assert (interval.low, interval.high) == pytest.approx((theirs.low, theirs.high))
    assert mean_over_seeds(np.array([0.5])).method == "none"
    assert mean_over_seeds(np.array([np.nan])).point is None
    equal = mean_over_seeds(np.full(3, 0.3))
    assert (equal.point, equal.low, equal.n) == (pytest.approx(0.3), None, 3)


def test_checkpoints_with_intervals_of_their_own_keep_what_their_shared_prompts_leave_open():
    """Win rates 0.70, 0.71, 0.72, each ± 0.06 over questions: Student's half is 4.303 · 0.01/√3 = 0.0248, and
    √(0.0248² + 0.06²) = 0.0649."""

    def won(point, low=-0.06, high=0.06):
        ends = {"low": point + low, "high": point + high} if low is not None else {}
        return Interval(point=point, method="bootstrap", levels=("questions",), n=144, **ends)

    found = mean_of_checkpoints([won(0.70), won(0.71), won(0.72)])
    assert (found.point, found.n) == (pytest.approx(0.71), 3)
    assert found.high - found.point == pytest.approx(0.0649, abs=1e-4)
    assert found.levels == ("training seeds", "questions")
    assert mean_of_checkpoints([won(0.7), won(0.7)]).high == pytest.approx(0.76)
    assert mean_of_checkpoints([won(0.7)]) == won(0.7)
    bare = mean_of_checkpoints([won(0.70), won(0.71), won(0.72, low=None)])
    assert (bare.levels, bare.high - bare.point) == (("training seeds",), pytest.approx(0.0248, abs=1e-4))
    assert mean_of_checkpoints([]).point is None


def test_the_difference_of_two_methods_is_scipys_welch(rng: np.random.Generator):
    first, second = rng.normal(size=4), 3 * rng.normal(size=6)
    found = welch_difference(first, second)
    theirs = stats.ttest_ind(first, second, equal_var=False)
    assert found.p == pytest.approx(theirs.pvalue)
    low, high = theirs.confidence_interval()
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high))
    assert welch_difference(first[:1], second).interval.low is None
    assert welch_difference(np.ones(3), np.ones(3)).p == 1.0
    assert welch_difference(np.array([]), second).interval.point is None
