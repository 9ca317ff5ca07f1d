"""Agreement of two judges on the same questions, and the matrix of win rates."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rpo_bench.judge.questions import Outcome, Question, by_comparison
from rpo_bench.stats.kappa import cohens_kappa


@dataclass(frozen=True)
class JudgesAgree:
    """Agreement of two judges on the questions that both have scored.

    Attributes:
        questions: Number of questions.
        same: Share with the same outcome: win, tie or loss.
        kappa: Cohen's κ over win, tie and loss.
        kappa_without_ties: Cohen's κ where neither judge has a tie.
    """

    questions: int
    same: float | None
    kappa: float | None
    kappa_without_ties: float | None


def judges_agree(one: Sequence[Question], other: Sequence[Question]) -> JudgesAgree:
    """Agreement beyond chance, without ties of identical responses, which aren't judged."""
    known = {(q.name, q.model, q.baseline): q.outcome for q in other if q.asked and q.outcome is not None}
    pairs = [
        (q.outcome, known[key])
        for q in one
        if q.asked and q.outcome is not None and (key := (q.name, q.model, q.baseline)) in known
    ]
    same = sum(a == b for a, b in pairs) / len(pairs) if pairs else None
    return JudgesAgree(len(pairs), same, *kappas(pairs))


def kappas(pairs: Sequence[tuple[Outcome, Outcome]]) -> tuple[float | None, float | None]:
    """Cohen's κ of pairs of outcomes: over win, tie and loss, and without ties."""
    decided = [pair for pair in pairs if "tie" not in pair]
    overall, clear = (cohens_kappa([a for a, _ in of], [b for _, b in of]) for of in (pairs, decided))
    return overall, clear


def win_matrix(questions: Sequence[Question]) -> dict[str, dict[str, float]]:
    """row → column → the row's win rate against the column, as a share; each comparison fills both cells."""
    found: dict[str, dict[str, float]] = {}
    for (model, baseline), own in by_comparison(questions).items():
        points = [one.points for one in own if one.score is not None and one.points is not None]
        if points:
            rate = float(np.mean(points))
            found.setdefault(model, {})[baseline] = rate
            found.setdefault(baseline, {})[model] = 1 - rate
    return found
