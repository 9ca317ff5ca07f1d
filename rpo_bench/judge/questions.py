"""Games and questions: one judgement in one order is a game, both orders of a question make one score."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from rpo_bench.judge.win_rates import Judgement, Judgements

Outcome = Literal["model", "tie", "baseline"]

#: What an outcome is worth to the model.
POINTS = {"model": 1.0, "tie": 0.5, "baseline": 0.0}


@dataclass(frozen=True)
class Game:
    """One judgement of one question in one order.

    Attributes:
        question: A stable id: the prompt's, a slash, the sample's number.
        model: Label of the row being judged.
        baseline: Label of the other.
        swapped: False where the model's response was shown first (A).
        verdict: Who won; None where it is unscored.
        probability: P(model wins) in [0, 1], of a judge that gives one.
        reason: Why there is no verdict.
        model_length: Characters of the model's response.
        baseline_length: Characters of the baseline's.
        asked: False where the responses are the same: a tie that no judge was asked for.
    """

    question: str
    model: str
    baseline: str
    swapped: bool
    verdict: Literal["model", "baseline", "tie"] | None
    probability: float | None
    reason: str | None
    model_length: int
    baseline_length: int
    asked: bool = True


@dataclass(frozen=True)
class Question:
    """One question to a judge, in both orders.

    Attributes:
        name: Its id.
        model: Label of the row being judged.
        baseline: Label of the other.
        score: Mean of both games' points for the model, in {0, ¼, ½, ¾, 1}; None unless both have a verdict.
        probability: Mean P(model wins) of both games, where the judge gives one.
        flipped: Whether both games were won by the same place, first or second; None where a game has no
            winner.
        model_length: Characters.
        baseline_length: Characters.
        asked: False where the responses are the same: a tie that no judge was asked for.
    """

    name: str
    model: str
    baseline: str
    score: float | None
    probability: float | None
    flipped: bool | None
    model_length: int
    baseline_length: int
    asked: bool = True

    @property
    def outcome(self) -> Outcome | None:
        """Who won over both orders; a flip is a tie."""
        if self.score is None:
            return None
        return "tie" if self.score == 0.5 else "model" if self.score > 0.5 else "baseline"

    @property
    def points(self) -> float | None:
        """What the win rate is a mean of: the probability where there is one, else the score."""
        return self.score if self.probability is None else self.probability


def questions_of(games: Iterable[Game]) -> list[Question]:
    """The questions of some games, in the order in which they come up.

    A question of which one order is unscored, or missing, is unscored: the other order alone would tell of
    the place as well as of the response.
    """
    found: dict[tuple[str, str, str], dict[bool, Game]] = defaultdict(dict)
    for game in games:
        found[game.question, game.model, game.baseline][game.swapped] = game
    return [_question(by_order) for by_order in found.values()]


def judgements_of(questions: Sequence[Question]) -> Judgements:
    """Questions of one model against one baseline, as ``win_rates`` takes them."""
    names = {(one.model, one.baseline) for one in questions}
    if len(names) != 1:
        raise ValueError(f"questions of one comparison are wanted, not of {len(names)}")
    ((model, baseline),) = names
    judged = [
        Judgement(one.name, None if one.score is None else one.points, one.baseline_length, one.model_length)
        for one in questions
    ]
    return Judgements(baseline, model, tuple(judged))


def by_comparison(questions: Iterable[Question]) -> dict[tuple[str, str], list[Question]]:
    """(model, baseline) → its questions."""
    found: dict[tuple[str, str], list[Question]] = defaultdict(list)
    for one in questions:
        found[one.model, one.baseline].append(one)
    return dict(found)


def first_won(game: Game) -> bool | None:
    """Whether the response that was shown first won; None without a winner."""
    if game.verdict is None or game.verdict == "tie":
        return None
    return (game.verdict == "model") != game.swapped


def _question(by_order: dict[bool, Game]) -> Question:
    games = [by_order[swapped] for swapped in sorted(by_order)]
    one = games[0]
    verdicts = [game.verdict for game in games if game.verdict is not None]
    whole = len(verdicts) == 2
    chances = [game.probability for game in games if game.probability is not None]
    places = [first_won(game) for game in games]
    decided = whole and None not in places
    return Question(
        name=one.question,
        model=one.model,
        baseline=one.baseline,
        score=sum(POINTS[verdict] for verdict in verdicts) / 2 if whole else None,
        probability=sum(chances) / 2 if whole and len(chances) == 2 else None,
        flipped=places[0] == places[1] if decided else None,
        model_length=one.model_length,
        baseline_length=one.baseline_length,
        asked=one.asked,
    )
