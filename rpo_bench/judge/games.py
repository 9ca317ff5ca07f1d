"""The game: one judgement of one question in one order."""

from dataclasses import dataclass
from typing import Literal


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
