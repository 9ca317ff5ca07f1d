"""Bradley–Terry ratings: closed forms, and a bootstrap over questions."""

import math

import numpy as np
import pytest

from rpo_bench.stats.bradley_terry import Games, ratings


def games(players, rows):
    """Rows of (question, first, second, score)."""
    q, first, second, score = (np.array(column) for column in zip(*rows, strict=True))
    return Games(tuple(players), q, first, second, score.astype(float))


def test_two_players_have_the_log_odds_of_their_games(rng):
    """75 of 100 won: ln 3 = 1.099; the draw in 20 games that holds ratings moves it by less than 0.001."""
    found = ratings(games("ab", [(i, 1, 0, float(i < 75)) for i in range(100)]), rng, resamples=200)
    assert found["a"].point == 0
    assert found["b"].point == pytest.approx(math.log(3), abs=1e-3)


def test_a_draw_is_half_a_win(rng):
    found = ratings(games("ab", [(i, 1, 0, 0.5) for i in range(10)]), rng, resamples=100)
    assert found["b"].point == pytest.approx(0, abs=1e-9)


def test_a_round_robin_gives_back_the_ratings_it_was_made_by(rng):
    """Expected scores of θ = 0, 0.5, 1.5 as scores: the likelihood's maximum is at θ itself."""
    theta = np.array([0.0, 0.5, 1.5])
    pairs = [(0, 1), (0, 2), (1, 2)]
    rows = [(q, a, b, 1 / (1 + math.exp(theta[b] - theta[a]))) for q in range(200) for a, b in pairs]
    found = ratings(games("xyz", rows), rng, resamples=100)
    assert [found[name].point for name in "xyz"] == pytest.approx(theta, abs=2e-3)


def test_who_is_linked_by_no_game_has_no_rating(rng):
    found = ratings(games("abcd", [(0, 1, 0, 1.0), (1, 1, 0, 0.0), (0, 2, 3, 1.0)]), rng, resamples=100)
    assert set(found) == {"a", "b"}


def test_winning_everything_stays_finite(rng):
    found = ratings(games("ab", [(i, 1, 0, 1.0) for i in range(20)]), rng, resamples=100)
    assert 3 < found["b"].point < 12


def test_what_does_not_vary_has_no_made_up_interval(rng):
    """Who won everything has a rating that the penalty chose; draws alone are drawn in every resample."""
    everything = [(i, 1, 0, 1.0) for i in range(20)]
    others = [(i, 2, 0, float(i % 2)) for i in range(20)] + [(i, 1, 2, 1.0) for i in range(20)]
    found = ratings(games("abc", everything + others), rng, resamples=100)
    assert (found["b"].low, found["b"].method, found["b"].n) == (None, "none", 20)
    assert found["c"].low < found["c"].point < found["c"].high
    drawn = ratings(games("ab", [(i, 1, 0, 0.5) for i in range(20)]), rng, resamples=100)["b"]
    assert (drawn.point, drawn.low) == (pytest.approx(0, abs=1e-9), None)


def test_the_order_of_the_games_changes_nothing():
    rows = [(q, 1 + q % 2, 0, float(q % 3 > 0)) for q in range(30)] + [(q, 1, 2, 0.5) for q in range(30)]
    one = ratings(games("abc", rows), np.random.default_rng(0), resamples=100)
    other = ratings(games("abc", rows[::-1]), np.random.default_rng(0), resamples=100)
    assert one == other


def test_the_interval_covers():
    """θ = 0.6 against the anchor, 100 questions whose difficulty the two games of each share."""
    covered = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        luck = rng.random(100)
        rows = [(q, 1, 0, float(luck[q] < 1 / (1 + math.exp(-0.6)))) for q in range(100) for _ in range(2)]
        found = ratings(games("ab", rows), rng, resamples=300)["b"]
        covered += found.low <= 0.6 <= found.high
    assert covered / 200 > 0.9  # rows resampled instead of questions: about 0.83
