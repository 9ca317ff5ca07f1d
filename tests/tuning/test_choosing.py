"""The choice among learning rates, by hand."""

import pytest

from rpo_bench.tuning.choosing import Measured, area, best_of, best_rate, first_rates, grown


def test_learning_rates_are_a_factor_of_three_apart_around_the_usual_one():
    assert first_rates(2e-4, 4) == pytest.approx([2e-4 / 3, 2e-4, 6e-4, 1.8e-3], rel=2e-3)
    assert first_rates(1.0, 3) == pytest.approx([1 / 3, 1, 3], rel=2e-3)


def test_a_grid_grows_where_the_best_lies_on_its_edge_three_times_at_most():
    areas = {1.0: 0.1, 3.0: 0.2, 9.0: 0.3}
    assert grown(areas, 3) == 27.0
    assert grown({1.0: 0.4, **areas, 9.0: 0.3} | {1.0: 0.4}, 3) == pytest.approx(1 / 3, rel=1e-3)
    assert grown({1.0: 0.1, 3.0: 0.5, 9.0: 0.3}, 3) is None
    assert grown({1.0: 0.1, 3.0: 0.2, 9.0: 0.3, 27.0: 0.4, 81.0: 0.5, 243.0: 0.6}, 3) is None


def test_of_equal_learning_rates_the_middle_one_is_chosen_and_no_grid_grows():
    assert best_rate({1.0: 0.2, 3.0: 0.2, 0.5: 0.1}) == 1.0
    nothing = {1.0: 0.0, 3.0: 0.0, 9.0: 0.0, 27.0: 0.0}
    assert best_rate(nothing) == 3.0
    assert grown(nothing, 4) is None
    assert grown({1.0: 0.3, 3.0: 0.3, 9.0: 0.1}, 3) is None


def test_the_area_is_the_mean_gain_up_to_the_cap():
    """From (0, 0) in a straight line to (1, 1): a mean of ½ up to 1, of ¼ up to ½."""
    line = [Measured(1.0, 0, kl=1.0, reward=3.0)]
    assert area(line, reference=2.0, cap=1.0) == pytest.approx(0.5)
    assert area(line, reference=2.0, cap=0.5) == pytest.approx(0.25)


def test_a_frontier_that_ends_before_the_cap_stays_where_it_ends():
    """½ on the way to 0.5 nats, then 1: (0.5 · 0.5 + 0.5 · 1) / 1."""
    assert area([Measured(1.0, 0, 0.5, 1.0)], 0.0, 1.0) == pytest.approx(0.75)


def test_seeds_are_averaged_and_what_diverged_gains_nothing():
    both = [Measured(1.0, 0, 1.0, 1.0), Measured(1.0, 1, 1.0, 0.0)]
    assert area(both, 0.0, 1.0) == pytest.approx(0.25)
    assert area([Measured(1.0, 0, None, None)], 0.0, 1.0) == 0.0
    assert area([*both, Measured(1.0, 2, None, None)], 0.0, 1.0) == pytest.approx(0.5 / 3)


def test_the_best_of_k_is_expected_over_all_ways_to_draw_them():
    """Of 1, 2 and 4: a mean of 7/3; pairs (1,2), (1,4), (2,4) have 2, 4 and 4; all three 4."""
    assert best_of([1.0, 4.0, 2.0]) == pytest.approx([7 / 3, 10 / 3, 4.0])
    assert best_of([0.5] * 60) == pytest.approx([0.5] * 60)
