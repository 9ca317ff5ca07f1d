"""Intervals over prompts: they cover what they claim to, and agree with SciPy and with closed forms."""

import math
import warnings

import numpy as np
import pytest
from scipy import stats

from rpo_bench.stats.bootstrap import (
    bootstrap_means,
    intervals,
    mean_over_prompts,
    prompt_means,
    weight_chunks,
)
from rpo_bench.stats.jackknife import jackknife_interval, standard_error
from rpo_bench.stats.quantiles import normal_quantile, t_quantile, widening
from rpo_bench.stats.rates import one_sided_bound, rate_interval, wilson_bounds
from rpo_bench.stats.seeding import generator


@pytest.fixture(autouse=True)
def no_numpy_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # of numbers; others may come of earlier tests
        yield


def test_weights_draw_every_unit_equally_often_and_fit_in_memory(rng: np.random.Generator):
    chunks = list(weight_chunks(5, rng, 20_000))
    weights = np.concatenate(chunks)
    assert weights.shape == (20_000, 5)
    assert (weights.sum(1) == 5).all()
    np.testing.assert_allclose(weights.mean(0), 1, atol=0.03)
    np.testing.assert_allclose(weights.var(0), 0.8, atol=0.03)  # multinomial: 5 · 0.2 · 0.8
    large = [chunk.shape for chunk in weight_chunks(2**21, rng, 5)]
    assert large == [(2, 2**21), (2, 2**21), (1, 2**21)]


def test_the_mean_is_over_samples_within_prompts_and_then_over_prompts(rng: np.random.Generator):
    """Prompt a has 1 and 3 (mean 2), prompt b only 10: the mean is 6, not 14/3."""
    values = np.array([[1.0, 3.0], [10.0, np.nan]])
    assert prompt_means(values).tolist() == [2.0, 10.0]
    interval = mean_over_prompts(values, rng)
    assert interval.point == 6.0
    assert interval.n == 2
    assert interval.levels == ("prompts", "generation")


@pytest.mark.parametrize(("prompts", "draw"), [(6, "normal"), (40, "normal"), (60, "exponential")])
def test_a_95_percent_interval_covers_the_truth_in_about_95_percent(
    rng: np.random.Generator, prompts: int, draw: str
):
    hits = 0
    for _ in range(600):
        values = getattr(rng, draw)(size=(prompts, 2))
        interval = mean_over_prompts(values, rng, resamples=400)
        hits += interval.low <= (1.0 if draw == "exponential" else 0.0) <= interval.high
    assert 0.92 <= hits / 600 <= 0.98


def test_samples_of_one_prompt_are_not_independent_units(rng: np.random.Generator):
    """Ten equal samples of each of 20 prompts give the interval of 20 prompts, not of 200."""
    one = rng.normal(size=(20, 1))
    ten = np.repeat(one, 10, axis=1)
    first = mean_over_prompts(one, np.random.default_rng(0))
    second = mean_over_prompts(ten, np.random.default_rng(0))
    assert second.n == 20
    assert (second.low, second.high) == pytest.approx((first.low, first.high))


def test_it_agrees_with_scipy_once_widened(rng: np.random.Generator):
    values = rng.gamma(2.0, size=80)
    ours = mean_over_prompts(values, rng, resamples=20_000)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=rng)
    low, high = theirs.confidence_interval
    factor = widening(80, 0.95)
    assert ours.low == pytest.approx(ours.point - factor * (ours.point - low), abs=0.01)
    assert ours.high == pytest.approx(ours.point + factor * (high - ours.point), abs=0.01)


def test_the_widening_turns_a_normal_interval_into_students(rng: np.random.Generator):
    """The bootstrap's spread is s·√((n−1)/n)/√n: widened by √(n/(n−1))·t/z it is t·s/√n."""
    assert normal_quantile(0.95) == pytest.approx(1.959964, abs=1e-6)
    assert t_quantile(0.95, 2) == pytest.approx(stats.t.ppf(0.975, 2))
    assert widening(3, 0.95) == pytest.approx(math.sqrt(1.5) * 4.302653 / 1.959964, abs=1e-5)
    values = rng.normal(size=12)
    interval = mean_over_prompts(values, rng, resamples=100_000)
    half = stats.t.ppf(0.975, 11) * values.std(ddof=1) / math.sqrt(12)
    assert (interval.high - interval.low) / 2 == pytest.approx(half, rel=0.05)


def test_the_order_of_rows_changes_nothing(rng: np.random.Generator):
    values = rng.normal(size=(50, 3))
    values[4] = np.nan
    shuffled = rng.permutation(values)
    assert mean_over_prompts(values, generator("cell", 0)) == mean_over_prompts(
        shuffled, generator("cell", 0)
    )
    assert generator("cell", 0).random() != generator("cell", 1).random()


def test_columns_together_equal_columns_alone(rng: np.random.Generator):
    columns = rng.normal(size=(30, 2))
    columns[:5, 1] = np.nan
    both = intervals(columns, np.random.default_rng(3))
    alone = mean_over_prompts(columns[:, 1], np.random.default_rng(3))
    assert (both[1].low, both[1].high) == pytest.approx((alone.low, alone.high), rel=1e-12)
    assert both[1].n == 25
    assert bootstrap_means(columns, rng, 70).shape == (70, 2)


def test_degenerate_inputs_have_no_made_up_interval(rng: np.random.Generator):
    one = mean_over_prompts(np.array([[1.0, 2.0]]), rng)
    assert (one.point, one.low, one.high, one.method, one.n) == (1.5, None, None, "none", 1)
    nothing = mean_over_prompts(np.full((4, 2), np.nan), rng)
    assert (nothing.point, nothing.low, nothing.method, nothing.n) == (None, None, "none", 0)
    assert mean_over_prompts(np.zeros((0, 3)), rng).method == "none"
    for bounds in (None, (0.0, 1.0)):
        equal = mean_over_prompts(np.full((9, 2), 0.25), rng, bounds=bounds)
        assert (equal.point, equal.low, equal.method, equal.n) == (0.25, None, "none", 9)
    left_out = jackknife_interval(0.3, np.full(10, 0.1 + 0.2))
    assert (left_out.point, left_out.low, left_out.n) == (0.3, None, 10)


def test_a_share_of_zero_has_the_bound_of_the_rule_of_three(rng: np.random.Generator):
    """0 of 100: rates up to 1 − 0.05^(1/100) = 2.95 % are not ruled out (3/100 in the rule's short form)."""
    interval = mean_over_prompts(np.zeros((100, 4)), rng, bounds=(0.0, 1.0))
    assert (interval.low, interval.method) == (0.0, "rule-of-three")
    assert interval.high == pytest.approx(0.02951, abs=1e-5)
    everything = mean_over_prompts(np.ones((100, 4)), rng, bounds=(0.0, 1.0))
    assert (everything.low, everything.high) == (pytest.approx(0.97049, abs=1e-5), 1.0)
    few = mean_over_prompts(np.array([0.0, 0.0, 0.0, 1.0]), rng, bounds=(0.0, 1.0))
    assert few.low == 0.0  # cut at the range


def test_wilson_by_hand_and_by_scipy():
    """81 of 263: Wilson (1927) gives 0.2553 to 0.3662 (Newcombe 1998, table 1)."""
    low, high = wilson_bounds(81, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
    theirs = stats.binomtest(81, 263).proportion_ci(method="wilson")
    assert (low, high) == pytest.approx((theirs.low, theirs.high))
    assert rate_interval(81, 263).method == "wilson"
    assert rate_interval(0, 0).point is None


def test_the_one_sided_bound_is_the_exact_binomial_one():
    theirs = stats.binomtest(0, 30, alternative="less").proportion_ci(0.95, method="exact")
    assert one_sided_bound(30) == pytest.approx(theirs.high)
    assert rate_interval(30, 30).low == pytest.approx(1 - theirs.high)
    assert rate_interval(0, 1).high == pytest.approx(0.95)


def test_wilson_covers_small_rates(rng: np.random.Generator):
    found = [rate_interval(int(count), 60) for count in rng.binomial(60, 0.1, size=3000)]
    assert 0.93 <= np.mean([interval.low <= 0.1 <= interval.high for interval in found]) <= 0.985


def test_the_jackknife_of_a_mean_is_its_standard_error(rng: np.random.Generator):
    """T_(i) of a mean is (Σx − x_i)/(n−1), and the jackknife is then s/√n exactly."""
    values = rng.normal(size=20)
    left_out = (values.sum() - values) / 19
    assert standard_error(left_out) == pytest.approx(values.std(ddof=1) / math.sqrt(20))
    interval = jackknife_interval(float(values.mean()), left_out)
    half = stats.t.ppf(0.975, 19) * values.std(ddof=1) / math.sqrt(20)
    assert (interval.low, interval.high) == pytest.approx((values.mean() - half, values.mean() + half))
    assert jackknife_interval(0.5, np.array([0.5])).method == "none"
    assert jackknife_interval(math.nan, left_out).point is None
    assert jackknife_interval(0.99, np.array([0.9, 1.0, 1.0]), bounds=(0.0, 1.0)).high == 1.0
