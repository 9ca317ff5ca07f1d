"""Intervals over training seeds and prompts cover what they say they cover."""

import numpy as np
import pytest
from scipy import stats

from rpo_bench.site.resampling import Draws, interpolate, interval, prompt_weights, seed_means, seed_weights


def test_weights_are_shares():
    rng = np.random.default_rng(0)
    assert np.allclose(prompt_weights(rng, 7, 50).sum(axis=1), 1)
    assert np.allclose(seed_weights(rng, 3, 50).sum(axis=1), 1)


def test_one_seed_always_weighs_one():
    assert (seed_weights(np.random.default_rng(0), 1, 5) == 1).all()


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_the_spread_over_seeds_is_student_s(seeds):
    """The widened weights give the mean over seeds a standard deviation of t/z · s/√S."""
    values = np.random.default_rng(1).normal(size=seeds)
    means = seed_weights(np.random.default_rng(2), seeds, 200_000) @ values
    wanted = stats.t.ppf(0.975, seeds - 1) / stats.norm.ppf(0.975) * values.std(ddof=1) / np.sqrt(seeds)
    assert means.std() == pytest.approx(wanted, rel=0.02)


def test_means_leave_out_what_has_no_score():
    """Weights (½, ½, 0) and (0, ½, ½) on scores (1, NaN, 4): 1 and 4."""
    weights = np.array([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]])
    assert seed_means(np.array([[1.0, np.nan, 4.0]]), weights)[:, 0].tolist() == [1.0, 4.0]


def test_the_first_draw_is_all_of_the_data():
    scores = np.random.default_rng(3).normal(size=(3, 8))
    draws = Draws.make(5, 8, 100)
    statistic = np.sum(draws.seeds("rpo", 3) * seed_means(scores, draws.prompts), axis=1)
    assert statistic[0] == pytest.approx(scores.mean())
    assert interval(statistic, 3, 8).point == pytest.approx(scores.mean())


def test_draws_depend_on_what_they_are_of_alone():
    first, second = Draws.make(5, 8, 100), Draws.make(5, 8, 100)
    second.seeds("kto", 3)
    assert (first.prompts == second.prompts).all()
    assert (first.seeds("rpo", 3) == second.seeds("rpo", 3)).all()
    assert (first.seeds("rpo", 5) != first.seeds("kto", 5)).any()


def test_without_variation_there_is_no_interval():
    one = interval(np.full(100, 0.25), 3, 8)
    assert (one.point, one.low, one.high, one.method) == (0.25, None, None, "none")


def test_an_interval_says_what_it_covers():
    replicates = np.random.default_rng(4).normal(size=500)
    assert "training seeds" in interval(replicates, 3, 8).levels
    assert "training seeds" not in interval(replicates, 1, 8).levels
    assert (interval(replicates, 3, 8).n, interval(replicates, 1, 8).n) == (3, 8)


@pytest.mark.parametrize("seeds", [3, 5])
def test_coverage_over_seeds_and_prompts(seeds):
    """300 worlds with effects of seed, prompt and both: the true mean, 0, is in about 95 % of intervals.

    Over 2000 such worlds it is in 0.98 (3 seeds) and 0.96 (5) of them, and in 0.86 and 0.90 of those of the
    plain two-level bootstrap.
    """
    rng = np.random.default_rng(6)
    inside = []
    for world in range(300):
        prompts = rng.normal(0, 0.5, 40)
        scores = rng.normal(0, 0.3, (seeds, 1)) + prompts + rng.normal(0, 0.5, (seeds, 40))
        draws = Draws.make(world, 40, 800)
        statistic = np.sum(draws.seeds("m", seeds) * seed_means(scores, draws.prompts), axis=1)
        one = interval(statistic, seeds, 40)
        inside.append(one.low <= 0 <= one.high)
    assert 0.92 <= np.mean(inside) <= 0.995


def test_interpolation_is_by_straight_lines_and_flat_beyond_the_ends():
    x, y = np.array([[0.0, 1.0, 3.0]] * 4), np.array([[0.0, 2.0, 4.0]] * 4)
    assert interpolate(x, y, np.array([-1.0, 0.5, 2.0, 9.0])).tolist() == [0.0, 1.0, 3.0, 4.0]


def test_interpolation_survives_points_of_equal_place():
    found = interpolate(np.array([[0.0, 1.0, 1.0]]), np.array([[0.0, 2.0, 4.0]]), np.array([1.0]))
    assert found.tolist() == [4.0]
