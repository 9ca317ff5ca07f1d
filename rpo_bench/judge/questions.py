"""Games and questions: a game is a judgement in one order, a question's score combines both orders."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from rpo_bench.judge.win_rates import Judgement, Judgements

Outcome = Literal["model", "tie", "baseline"]

#: The model's points for an outcome.
POINTS = {"model": 1.0, "tie": 0.5, "baseline": 0.0}


@dataclass(frozen=True)
class Game:
    """One judgement of one question in one order.

    Attributes:
        question: A stable id: prompt id, slash, sample number.
        model: Label of the row being judged.
        baseline: Label of the other.
        swapped: False where the model's response was shown first (A).
        verdict: The winner; None if unscored.
        probability: P(model wins) in [0, 1], if the judge gives one.
        reason: Why there is no verdict.
        model_length: Characters of the model's response.
        baseline_length: Characters of the baseline's.
        asked: False if the responses are equal, which is a tie without a call.
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
        score: Mean points of the model in both games, in {0, ¼, ½, ¾, 1}; None unless both have a verdict.
        probability: Mean P(model wins) of both games, if the judge gives one.
        flipped: Whether the same position, first or second, won both games; None if a game has no winner.
        model_length: Characters.
        baseline_length: Characters.
        asked: False if the responses are equal, which is a tie without a call.
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
        """The winner over both orders; a flip is a tie."""
        if self.score is None:
            return None
        return "tie" if self.score == 0.5 else "model" if self.score > 0.5 else "baseline"

    @property
    def points(self) -> float | None:
        """The model's points for the win rate: the probability if there is one, else the score."""
        return self.score if self.probability is None else self.probability


def questions_of(games: Iterable[Game]) -> list[Question]:
    """Groups games into questions, in order of first appearance.

    A question with an unscored or missing order is unscored: a single order would also reflect the judge's
    preference for a position.
    """
    found: dict[tuple[str, str, str], dict[bool, Game]] = defaultdict(dict)
    for game in games:
        found[game.question, game.model, game.baseline][game.swapped] = game
    return [_question(by_order) for by_order in found.values()]


def judgements_of(questions: Sequence[Question]) -> Judgements:
    """Questions of one model against one baseline, as input for ``win_rates``."""
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
    """Whether the first response won; None without a winner."""
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
