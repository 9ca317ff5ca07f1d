"""From games to questions."""

import pytest

from rpo_bench.judge.questions import Game, Question, judgements_of, questions_of
from rpo_bench.judge.rating import games_of
from rpo_bench.judge.win_rates import win_rates


def game(verdict, swapped=False, question="q", probability=None, lengths=(10, 10)):
    return Game(question, "m", "b", swapped, verdict, probability, None if verdict else "empty", *lengths)


@pytest.mark.parametrize(
    ("verdicts", "score"),
    [
        (("model", "model"), 1.0),
        (("model", "tie"), 0.75),
        (("model", "baseline"), 0.5),
        (("tie", "tie"), 0.5),
        (("tie", "baseline"), 0.25),
        (("baseline", "baseline"), 0.0),
    ],
)
def test_a_score_is_the_mean_of_both_orders(verdicts, score):
    (question,) = questions_of([game(verdicts[0]), game(verdicts[1], swapped=True)])
    assert question.score == score


def test_a_flip_is_two_winners_in_one_place():
    """Shown first it wins, shown second it loses: the first place won twice."""
    (flipped,) = questions_of([game("model"), game("baseline", swapped=True)])
    (steady,) = questions_of([game("model"), game("model", swapped=True)])
    (unknown,) = questions_of([game("model"), game("tie", swapped=True)])
    assert (flipped.flipped, steady.flipped, unknown.flipped) == (True, False, None)
    assert flipped.outcome == "tie"


def test_one_order_alone_is_no_score():
    (lost,) = questions_of([game("model"), game(None, swapped=True)])
    (missing,) = questions_of([game("model")])
    assert lost.score is missing.score is None


def test_probabilities_weigh_the_win_rate():
    """0.9 and 0.7 are 0.8, where the verdicts alone would say 1."""
    (question,) = questions_of([game("model", probability=0.9), game("model", True, probability=0.7)])
    assert (question.score, question.points) == (1.0, pytest.approx(0.8))
    judged = judgements_of([question, *questions_of([game("tie", question="r"), game("tie", True, "r")])])
    found = win_rates(judged, resamples=100)
    assert found.win_rate == pytest.approx(65.0)
    assert (found.wins, found.draws) == (1, 1)


def test_a_question_that_was_asked_from_both_sides_is_one_game_of_the_ratings():
    """SFT against the reference policy, and the reference policy against SFT: the same calls."""

    def question(model: str, baseline: str, score: float, name: str = "q") -> Question:
        return Question(name, model, baseline, score, None, None, 1, 1)

    asked = [question("sft", "base", 1.0), question("base", "sft", 0.0), question("rpo", "sft", 0.5)]
    games = games_of(["base", "sft", "rpo"], "base", [*asked, question("sft", "base", 0.0, "r")])
    assert games is not None
    assert len(games.score) == 3
    assert sorted(games.question.tolist()) == [0, 0, 1]
