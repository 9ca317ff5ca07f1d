"""Strengths near KL budgets, found on methods whose KL is known."""

import pytest

from rpo_bench.engine.search.placing import Ladder, Tried, bracketed, next_strengths, unmet

BUDGETS = (0.3, 0.5, 0.75)
OPEN = Ladder((2.0, 1.0, 0.5))


def searched(kl_of, first, budgets=BUDGETS, most=6, ladder=OPEN):
    """What a search of at most six strengths tries, two at a time."""
    tried = [Tried(s, kl_of(s)) for s in first]
    while len(tried) < most:
        more = next_strengths(tried, (), budgets, min(2, most - len(tried)), ladder)
        if not more:
            break
        tried += [Tried(s, kl_of(s)) for s in more]
    return tried


@pytest.mark.parametrize("power", [-1.0, -0.6, -2.0, 0.8])
def test_a_power_law_is_bracketed_at_once(power):
    """τ lowers KL, k raises it: four strengths beyond the first two, each within 15 % of two budgets."""
    tried = searched(lambda s: 0.4 * s**power, (0.5, 2.0), budgets=(0.3, 0.5))
    assert all(bracketed(tried, budget) for budget in (0.3, 0.5))
    assert len(tried) <= 6


def test_three_budgets_take_eight_strengths():
    tried = searched(lambda s: 0.4 / s, (0.1, 3.0), most=8)
    assert all(bracketed(tried, budget) for budget in BUDGETS)


def test_a_law_that_is_no_power_is_bracketed_by_further_rounds():
    tried = searched(lambda s: 2.0 / (1 + 4 * s), (0.1, 3.0), most=14)
    assert all(bracketed(tried, budget) for budget in BUDGETS)


def test_a_budget_beyond_the_first_strengths_is_reached_by_extrapolation():
    tried = searched(lambda s: 0.05 / s, (0.5, 2.0), budgets=(0.5,), most=8)
    assert bracketed(tried, 0.5)


def test_a_method_that_levels_off_is_not_said_to_reach_a_budget():
    tried = searched(lambda s: min(0.4, 0.1 / s), (0.2, 2.0), most=12)
    assert bracketed(tried, 0.3)
    assert not bracketed(tried, 0.5)
    assert max(one.kl for one in tried) == 0.4


def test_whole_strengths_stay_whole_and_end_where_no_further_one_helps():
    """Best of k: its KL jumps from k to k + 1, and nothing lies between."""
    tried = searched(lambda k: 0.2 * k**0.5, (1, 8), most=12, ladder=Ladder((1, 2, 4, 8), whole=True))
    assert all(one.strength == int(one.strength) for one in tried)
    assert len({one.strength for one in tried}) == len(tried) < 12


def test_nothing_is_proposed_where_all_is_bracketed():
    tried = [Tried(1.0, 0.29), Tried(0.9, 0.31)]
    assert next_strengths(tried, (), (0.3,), 2, OPEN) == []
    assert unmet(tried, (0.3,)) == []


def test_without_two_points_to_go_by_its_own_strengths_are_tried_from_the_good_end():
    """The bold end diverged, or a KL of 0 says nothing of where a strength is."""
    ladder = Ladder((2.0, 1.0, 0.5, 0.25))
    assert next_strengths([Tried(2.0, 0.2)], [0.25], BUDGETS, 2, ladder) == [1.0]
    assert next_strengths([Tried(2.0, 0.2)], [0.25, 1.0], BUDGETS, 2, ladder) == [0.5]
    assert next_strengths([Tried(2.0, 0.2)], [0.25, 1.0, 0.5], BUDGETS, 2, ladder) == []
    assert next_strengths([], [2.0, 0.25], BUDGETS, 2, ladder) == [0.5]


def test_a_learning_rate_that_hardly_moves_is_taken_to_bolder_strengths():
    for own, bolder in (((2.0, 0.5), 0.125), ((0.5, 2.0), 8.0)):
        tried = [Tried(s, 0.0) for s in own]
        assert next_strengths(tried, (), BUDGETS, 2, Ladder(own)) == [bolder]
    assert next_strengths([Tried(1, 0.0), Tried(8, 0.0)], (), BUDGETS, 2, Ladder((1, 8), True, True)) == []


def test_two_equal_kls_give_no_secant():
    assert next_strengths([Tried(1.0, 0.2), Tried(2.0, 0.2)], (), BUDGETS, 2, OPEN) == []


def test_whole_strengths_beyond_a_closed_end_take_no_place_of_others():
    """Best of k of eight responses, whose KL falls in k: k = 13 and 15 aren't there, 4 and 6 are."""
    tried = [Tried(1, 2.0), Tried(8, 0.45)]
    found = next_strengths(tried, (), BUDGETS, 2, Ladder((1, 2, 4, 8), whole=True, closed=True))
    assert len(found) == 2
    assert all(1 < strength < 8 for strength in found)


def test_an_estimate_that_leads_far_away_is_followed_step_by_step():
    """Two strengths with nearly one KL: the secant is steep, and no proposal goes beyond a factor of four."""
    (strength,) = next_strengths([Tried(1.0, 0.010), Tried(0.9, 0.0101)], (), (0.5,), 1, OPEN)
    assert strength == pytest.approx(0.9 / 4, rel=0.01)


@pytest.mark.parametrize("gap", [1e-3, 1e-5, 1e-7])
@pytest.mark.parametrize("kl", [1e-3, 0.2, 40.0])
def test_however_steep_the_secant_a_proposal_is_a_number(kl, gap):
    for other in (kl * (1 + gap), kl * (1 - gap)):
        found = next_strengths([Tried(1.0, kl), Tried(0.01, other)], (), BUDGETS, 4, OPEN)
        assert all(0.01 / 4 - 1e-4 <= strength <= 4.0 for strength in found)
