"""Checkpoints are compared on shared prompts; methods over training seeds and prompts."""

import numpy as np
import pytest
from scipy import stats

from rpo_bench.stats.bootstrap import mean_over_prompts
from rpo_bench.stats.compare import (
    mean_of_checkpoints,
    mean_over_seeds,
    method_difference,
    method_mean,
    paired_difference,
    two_level_bootstrap,
)
from rpo_bench.stats.interval import Interval


def world(rng: np.random.Generator, seeds: int, prompts: int, sd: tuple[float, float, float]) -> np.ndarray:
    """Scores (S, P) with true mean 0: seed effect + prompt effect + noise of the given deviations."""
    return (
        sd[0] * rng.normal(size=(seeds, 1))
        + sd[1] * rng.normal(size=(1, prompts))
        + sd[2] * rng.normal(size=(seeds, prompts))
    )


def test_pairing_takes_out_what_the_prompts_share(rng: np.random.Generator):
    """Hard prompts are hard for both: the paired interval of a 0.2 difference is far from 0."""
    prompts = 5 * rng.normal(size=100)
    first, second = prompts + 0.2 + 0.1 * rng.normal(size=100), prompts + 0.1 * rng.normal(size=100)
    paired = paired_difference(first, second, rng)
    assert 0.1 < paired.low < paired.point < paired.high < 0.3
    alone = mean_over_prompts(first, rng)
    assert alone.high - alone.low > 10 * (paired.high - paired.low)
    flipped = paired_difference(second, first, rng)
    assert flipped.point == pytest.approx(-paired.point)


def test_only_prompts_that_both_have_a_score_for_are_compared(rng: np.random.Generator):
    interval = paired_difference(np.array([1.0, np.nan, 3.0]), np.array([0.0, 5.0, np.nan]), rng)
    assert (interval.point, interval.n, interval.method) == (1.0, 1, "none")


@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("sd", [(1.0, 0.1, 1.0), (0.1, 1.0, 0.3), (0.02, 0.5, 2.0)])
def test_a_methods_interval_covers_its_mean_also_with_three_seeds(
    rng: np.random.Generator, seeds: int, sd: tuple[float, float, float]
):
    """Seeds, prompts or noise may dominate; plain percentiles reach 0.88 or less with three seeds."""
    hits = 0
    for _ in range(300):
        interval = method_mean(world(rng, seeds, 60, sd), rng, resamples=200)
        hits += interval.low <= 0 <= interval.high
    assert 0.90 <= hits / 300 <= 0.995
    assert interval.levels == ("training seeds", "prompts", "generation")
    assert interval.n == seeds


def test_the_difference_of_two_methods_shares_prompts_and_covers(rng: np.random.Generator):
    hits, widths, unpaired = 0, [], []
    for _ in range(300):
        prompts = 2.0 * rng.normal(size=(1, 60))
        first, second = (prompts + world(rng, 4, 60, (0.1, 0.0, 0.3)) for _ in range(2))
        interval = method_difference(first, second, rng, resamples=200)
        hits += interval.low <= 0 <= interval.high
        widths.append(interval.high - interval.low)
        alone = method_mean(first, rng, resamples=50)
        unpaired.append(alone.high - alone.low)
    assert 0.91 <= hits / 300 <= 0.995
    assert np.mean(widths) < 0.5 * np.mean(unpaired)


def test_prompts_are_drawn_once_for_both_methods(rng: np.random.Generator):
    """Two methods whose scores differ by 1 on every prompt differ by 1 in every resample."""
    prompts = rng.normal(size=(1, 30))
    scores = [np.repeat(prompts, 3, axis=0), np.repeat(prompts + 1, 5, axis=0)]
    draws = two_level_bootstrap(scores, rng, 500)
    assert draws.shape == (500, 2)
    np.testing.assert_allclose(draws[:, 1] - draws[:, 0], 1)
    assert draws[:, 0].std() > 0.1


def test_the_two_levels_add_up(rng: np.random.Generator):
    """With seed effects only, the draws vary by s_seed/√S · √((S−1)/S); with prompt effects only alike."""
    only_seeds = np.repeat(rng.normal(size=(6, 1)), 50, axis=1)
    draws = two_level_bootstrap([only_seeds], rng, 20_000)[:, 0]
    assert draws.std() == pytest.approx(only_seeds[:, 0].std() / np.sqrt(6), rel=0.03)
    only_prompts = np.repeat(rng.normal(size=(1, 50)), 6, axis=0)
    draws = two_level_bootstrap([only_prompts], rng, 20_000)[:, 0]
    assert draws.std() == pytest.approx(only_prompts[0].std() / np.sqrt(50), rel=0.03)


def test_one_seed_covers_prompts_only_and_says_so(rng: np.random.Generator):
    scores = rng.normal(size=(1, 40))
    interval = method_mean(scores, rng)
    assert interval.levels == ("prompts", "generation")
    assert interval.point == pytest.approx(scores.mean())
    assert method_difference(scores, rng.normal(size=(3, 40)), rng).levels == ("prompts", "generation")


def test_unscored_cells_are_left_out(rng: np.random.Generator):
    scores = rng.normal(size=(4, 20)) + 3
    scores[0, :5] = np.nan
    scores[:, 7] = np.nan
    scores[3] = np.nan
    interval = method_mean(scores, rng)
    assert interval.n == 3
    assert interval.point == pytest.approx(np.nanmean(scores))
    assert interval.low < interval.point < interval.high
    assert method_mean(np.full((3, 4), np.nan), rng).point is None


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


def test_what_does_not_vary_has_no_made_up_interval(rng: np.random.Generator):
    for bounds in (None, (0.0, 1.0)):
        equal = method_mean(np.full((3, 4), 0.1 + 0.2), rng, bounds=bounds)
        assert (equal.point, equal.low, equal.method, equal.n) == (pytest.approx(0.3), None, "none", 3)
    shift = method_difference(np.full((3, 9), 0.3), np.full((3, 9), 0.1), rng)
    assert (shift.point, shift.low, shift.high) == (pytest.approx(0.2), None, None)
    one_prompt = method_mean(rng.normal(size=(3, 1)), rng)
    assert (one_prompt.low, one_prompt.method) == (None, "none")
    by_seed = mean_over_seeds(np.full(3, 0.3))
    assert (by_seed.point, by_seed.low, by_seed.n) == (pytest.approx(0.3), None, 3)


def test_shares_stay_shares_and_zero_has_its_bound(rng: np.random.Generator):
    """Three seeds that never insult on 60 prompts: the bound is that of 60 prompts, not of 180."""
    never = method_mean(np.zeros((3, 60)), rng, bounds=(0.0, 1.0))
    assert (never.low, never.method, never.n) == (0.0, "rule-of-three", 60)
    assert never.high == pytest.approx(1 - 0.05 ** (1 / 60))
    rare = np.zeros((3, 60))
    rare[0, :3] = 1.0
    assert method_mean(rare, rng).low < 0
    assert method_mean(rare, rng, bounds=(0.0, 1.0)).low == 0


def test_one_number_per_seed_has_students_interval(rng: np.random.Generator):
    values = rng.normal(size=5)
    interval = mean_over_seeds(values)
    theirs = stats.ttest_1samp(values, 0).confidence_interval()
    assert (interval.low, interval.high) == pytest.approx((theirs.low, theirs.high))
    assert mean_over_seeds(np.array([0.5])).method == "none"
    assert mean_over_seeds(np.array([np.nan])).point is None
