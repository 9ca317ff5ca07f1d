"""Frontiers interpolate and never extrapolate."""

import numpy as np
import pytest

from rpo_bench.stats.frontier import (
    Frontier,
    area_slack,
    area_to,
    frontier_points,
    interpolate,
    interpolation_slack,
    told_apart,
)


def at(frontier: Frontier, budget: float) -> float | None:
    """The reward at one budget; None where it isn't reached."""
    value = float(interpolate(frontier, np.array([budget]))[0])
    return None if np.isnan(value) else value


def area(frontier: Frontier, cap: float) -> float | None:
    """The mean gain up to a cap; None where it isn't reached."""
    value = float(area_to(frontier, cap))
    return None if np.isnan(value) else value


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def test_a_frontier_starts_at_the_reference_and_is_ordered_by_kl():
    frontier = frontier_points(np.array([2.0, 1.0]), np.array([0.9, 0.5]), reference_reward=0.1)
    assert frontier.kl.tolist() == [0, 1, 2]
    assert frontier.reward.tolist() == [0.1, 0.5, 0.9]


def test_reward_at_kl_interpolates_and_does_not_extrapolate():
    """Through (0, .1), (1, .5), (2, .9): halfway from 0 to 1 it is .3; beyond 2 nothing is known."""
    frontier = frontier_points(np.array([1.0, 2.0]), np.array([0.5, 0.9]), 0.1)
    assert at(frontier, 0.5) == pytest.approx(0.3)
    assert at(frontier, 0) == pytest.approx(0.1)
    assert at(frontier, 2) == pytest.approx(0.9)
    assert at(frontier, 2.0001) is None
    assert at(frontier, -0.1) is None


def test_points_of_equal_kl_count_with_their_mean():
    """A strength so weak that KL is 0 (or estimated below it) shares its place with the reference."""
    frontier = frontier_points(np.array([-0.01, 1.0, 1.0]), np.array([0.3, 0.4, 0.8]), 0.1)
    assert at(frontier, 0) == pytest.approx(0.2)
    assert at(frontier, 1) == pytest.approx(0.6)
    assert at(frontier, 0.5) == pytest.approx(0.4)


def test_draws_go_through_together(rng: np.random.Generator):
    kl, reward = rng.uniform(0, 3, size=(40, 4)), rng.normal(size=(40, 4))
    base = rng.normal(size=40)
    budgets = np.array([0.0, 0.7, 1.5, 2.9])
    together = frontier_points(kl, reward, base)
    values, areas = interpolate(together, budgets), area_to(together, 1.0)
    assert values.shape == (40, 4)
    for row in range(40):
        alone = frontier_points(kl[row], reward[row], float(base[row]))
        for column, budget in enumerate(budgets):
            expected = at(alone, float(budget))
            assert values[row, column] == pytest.approx(np.nan if expected is None else expected, nan_ok=True)
            if expected is not None:
                assert expected == pytest.approx(np.interp(budget, alone.kl, alone.reward))
        own = area(alone, 1.0)
        assert areas[row] == pytest.approx(np.nan if own is None else own, nan_ok=True)


def test_the_area_is_the_mean_gain_up_to_the_cap():
    """Gain 0 at KL 0, .4 at 1, .8 at 2: to the cap 1.5 the mean gain of the straight line is .3."""
    frontier = frontier_points(np.array([1.0, 2.0]), np.array([0.5, 0.9]), 0.1)
    assert area(frontier, 1.5) == pytest.approx(0.3)
    assert area(frontier, 2.0) == pytest.approx(0.4)
    bent = frontier_points(np.array([1.0, 2.0]), np.array([1.0, 1.0]), 0.0)
    assert area(bent, 2.0) == pytest.approx((0.5 + 1.0) / 2)
    assert area(frontier, 2.1) is None


def test_straight_lines_understate_a_concave_frontier_by_no_more_than_the_slack():
    """√KL between any points of it; the lines through two points on one side of the budget lie above it."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        kl = np.sort(rng.uniform(0.05, 2.0, size=rng.integers(2, 7)))
        frontier = frontier_points(kl, np.sqrt(kl), 0.0)
        budget = float(rng.uniform(0, kl[-1]))
        line = at(frontier, budget)
        assert line is not None
        assert line <= np.sqrt(budget) + 1e-12
        assert np.sqrt(budget) <= line + interpolation_slack(frontier, budget) + 1e-9


def test_the_slack_by_hand():
    """Through (0, 0), (1, 1), (2, 1.5): at 1.5 the line is 1.25; (0, 0)–(1, 1) carried on is 1.5."""
    frontier = frontier_points(np.array([1.0, 2.0]), np.array([1.0, 1.5]), 0.0)
    assert interpolation_slack(frontier, 1.5) == pytest.approx(0.25)
    assert interpolation_slack(frontier, 0.5) == pytest.approx(0.25)  # (1, 1)–(2, 1.5) carried back is 0.75
    assert interpolation_slack(frontier, 1.0) == 0.0
    assert interpolation_slack(frontier, 3.0) == 0.0  # nothing is said beyond the end


def test_close_neighbours_leave_little_slack():
    kl = np.array([0.27, 0.29, 0.31, 0.33])
    frontier = frontier_points(kl, np.sqrt(kl), 0.0)
    assert interpolation_slack(frontier, 0.3) < 1e-3


def test_before_the_last_point_no_more_is_taken_than_its_neighbours_earn():
    """A single strength at 1 nat that gains 1: at half a nat between 0.5 and 1."""
    assert interpolation_slack(frontier_points(np.array([1.0]), np.array([1.0]), 0.0), 0.5) == 0.5
    assert interpolation_slack(frontier_points(np.array([0.5, 1.5]), np.array([0.5, 0.5]), 0.0), 1.4) == 0.0


def test_a_line_that_contradicts_concavity_bounds_nothing():
    """A dent: neither (0, 0)–(1, 0.1) nor the points beyond say how far the curve may lie above."""
    frontier = frontier_points(np.array([1.0, 2.0, 3.0]), np.array([0.1, 1.0, 3.0]), 0.0)
    assert interpolation_slack(frontier, 1.5) == 0.0


def test_points_are_told_apart_where_nearly_all_resamples_order_them_alike():
    """KLs 0.7 and 0.5 over 40 resamples: 0.5 is above 0 in all, 0.7 above 0.5 in 39 (0.975) or 38 (0.95)."""
    kl, draws = np.array([0.7, 0.5]), np.tile([0.7, 0.5], (40, 1))
    draws[0] = 0.5, 0.7
    everything = ~np.eye(3, dtype=bool)  # the reference, 0.5, 0.7
    assert (told_apart(kl, draws) == everything).all()
    draws[1] = 0.6, 0.6
    found = told_apart(kl, draws)
    assert not found[1, 2]
    assert not found[2, 1]
    assert found[0, 1:].all()


@pytest.mark.parametrize("noise", [-0.02, -0.01, 0.0, 0.005, 0.01, 0.02])
def test_two_strengths_with_nearly_the_same_kl_make_no_line(noise: float):
    """Through (0, 0), (0.5, 0.5), (0.7, 0.6), (0.71, 0.6 + noise), read at 0.6: the straight line is 0.55.

    The first line carried on is 0.6, and so is the larger neighbour: 0.05. The line through the last two,
    0.6 − 10 · noise there, makes it 0.05 for noise from −0.02 to 0, 0 for 0.005 (it passes through 0.55),
    and is thought to contradict concavity for more, so that it says nothing.
    """
    rewards = np.array([0.5, 0.6, 0.6 + noise])
    frontier = frontier_points(np.array([0.5, 0.7, 0.71]), rewards, 0.0)
    apart = ~np.eye(4, dtype=bool)
    assert interpolation_slack(frontier, 0.6, apart) == interpolation_slack(frontier, 0.6)
    assert interpolation_slack(frontier, 0.6) == pytest.approx(0.0 if noise == 0.005 else 0.05)
    apart[2, 3] = apart[3, 2] = False
    assert interpolation_slack(frontier, 0.6, apart) == pytest.approx(0.05)


@pytest.mark.parametrize("noise", [-0.01, 0.0, 0.003, 0.01])
def test_what_is_told_apart_from_nothing_further_out_is_the_last_point(noise: float):
    """KTO at 0.1 and 0.02: read at 0.71 before 0.717 and 0.721, the neighbour's 0.451 is the most.

    From (0.55, 0.428) the straight line is 0.428 + 0.023 · 0.16/0.167 = 0.4500, so 0.001. By the last two
    points it may be the first line's 0.613 less 0.45, or nothing, as their noise has it.
    """
    frontier = frontier_points(
        np.array([0.55, 0.717, 0.721]), np.array([0.428, 0.451, 0.451 + noise]), -0.208
    )
    apart = ~np.eye(4, dtype=bool)
    apart[2, 3] = apart[3, 2] = False
    assert interpolation_slack(frontier, 0.71, apart) == pytest.approx(0.451 - 0.4500, abs=1e-4)
    bare = interpolation_slack(frontier, 0.71)
    assert bare > 0.14 if noise >= 0.003 else bare < 0.02


def test_the_slack_of_an_area_is_its_mean_over_budgets():
    """Through (0, 0), (1, 1), (4, 2): 2/3 · |b − 1| to 2 nats, then down to 0 at 4; 1/3 on average."""
    frontier = frontier_points(np.array([1.0, 4.0]), np.array([1.0, 2.0]), 0.0)
    assert area_slack(frontier, 4.0) == pytest.approx(1 / 3)
    root = 4 / 3  # the mean of √KL up to 4 nats
    assert float(area_to(frontier, 4.0)) <= root <= float(area_to(frontier, 4.0)) + area_slack(frontier, 4.0)
    assert area_slack(frontier_points(np.array([1.0, 2.0]), np.array([1.0, 2.0]), 0.0), 2.0) < 1e-12
