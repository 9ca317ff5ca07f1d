"""The card gives planted biases back."""

import numpy as np
import pytest

from rpo_bench.judge.card import make_card, read_card, write_card
from rpo_bench.judge.questions import Game
from rpo_bench.stats.interval import Interval

N = 600


def games_by(judge, n=N, seed=0):
    """Both orders of n questions and their truth; ``judge(truth, model is longer, shown first, rng)``."""
    rng = np.random.default_rng(seed)
    games, truth = [], {}
    for i in range(n):
        better = "model" if rng.random() < 0.5 else "baseline"
        longer = (i % 5 < 3) == (better == "model")  # the better one is the longer one in 3 of 5
        lengths = (20, 10) if longer else (10, 20)
        truth[f"q{i}", "m", "b"] = better
        for swapped in (False, True):
            verdict = judge(better, longer, not swapped, rng)
            games.append(Game(f"q{i}", "m", "b", swapped, verdict, None, None, *lengths))
    return games, truth


def card_of(judge):
    games, truth = games_by(judge)
    return make_card("planted", {}, games, truth=truth)


def holds(interval: Interval, value: float) -> bool:
    return interval.low <= value <= interval.high


def says(card, words):
    return any(words in warning for warning in card.warnings)


def test_a_judge_that_is_right_has_nothing_said_against_it():
    card = card_of(lambda better, longer, first, rng: better)
    assert card.warnings == ()
    assert card.agreement.accuracy.point == card.agreement.kappa == 1
    assert card.flip_rate.point == 0
    assert card.prefers_first.point == 0.5


def test_a_judge_that_takes_the_first():
    card = card_of(lambda better, longer, first, rng: "model" if first else "baseline")
    assert card.prefers_first.point == card.flip_rate.point == 1
    assert card.agreement.accuracy.point == 0.5
    assert says(card, "No better than a coin")
    assert says(card, "changes its mind with the order")
    assert says(card, "shown first")


def test_a_judge_that_takes_the_longer():
    """The truth prefers the longer one in 60 % of the questions, so that it is right in 60 %."""
    card = card_of(lambda better, longer, first, rng: "model" if longer else "baseline")
    assert card.prefers_longer.point == 1
    assert card.flip_rate.point == 0
    assert card.agreement.accuracy.point == card.agreement.longer.point == 0.6
    assert says(card, "Little better than picking the longer one")
    assert says(card, "prefers length")


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.6])
def test_a_judge_that_follows_the_place_at_a_known_rate(rate):
    """It takes the first place in a share ``rate`` of questions, drawn once for both orders, and the truth in
    the rest: these flip, the first wins ½ + rate/2 of the games, and right are 1 − rate/2.
    """
    rng = np.random.default_rng(7)
    fooled = iter(np.repeat(rng.random(N) < rate, 2))

    def judge(better, longer, first, _):
        return ("model" if first else "baseline") if next(fooled) else better

    card = card_of(judge)
    assert holds(card.flip_rate, rate)
    assert holds(card.prefers_first, 0.5 + rate / 2)
    assert holds(card.agreement.accuracy, 1 - rate / 2)
    assert says(card, "changes its mind with the order") == (rate > 0.2)


def test_games_without_a_verdict_are_counted_and_never_wrong():
    card = card_of(lambda better, longer, first, rng: None if rng.random() < 0.3 else better)
    assert holds(card.parse_rate, 0.7)
    assert card.agreement.accuracy.point == 1
    assert says(card, "no verdict")


def test_without_truth_it_says_so():
    games, _ = games_by(lambda better, longer, first, rng: better)
    card = make_card("planted", {}, games)
    assert card.agreement is None
    assert says(card, "Its accuracy is unknown")


def test_it_is_read_back_as_written(tmp_path):
    card = card_of(lambda better, longer, first, rng: better)
    write_card(tmp_path, card)
    assert read_card(tmp_path) == card
    assert read_card(tmp_path / "elsewhere") is None
