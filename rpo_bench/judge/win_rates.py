"""Win rates from judgements of pairs of responses."""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from rpo_bench.errors import UserError
from rpo_bench.spec.settings import Frozen
from rpo_bench.stats.arrays import Floats
from rpo_bench.stats.bootstrap import RESAMPLES, mean_over_prompts
from rpo_bench.stats.interval import QUESTION_LEVELS, Interval
from rpo_bench.stats.length_control import length_controlled
from rpo_bench.stats.seeding import generator


@dataclass(frozen=True)
class Judgement:
    """The judgement of one question.

    Attributes:
        question: The question's id.
        score: 1 if the model wins, 0 if the baseline does; None without a verdict.
        baseline_length: Characters of the baseline's response.
        model_length: Characters of the model's response.
    """

    question: str
    score: float | None
    baseline_length: int
    model_length: int


@dataclass(frozen=True)
class Judgements:
    """Judgements of a model against a baseline."""

    baseline: str
    model: str
    judgements: tuple[Judgement, ...]


class WinRates(Frozen):
    """Win rates in percent, as in AlpacaEval."""

    model: str
    baseline: str
    win_rate: float
    standard_error: float | None
    wins: int
    losses: int
    draws: int
    discrete_win_rate: float
    win_rate_interval: Interval
    length_controlled_win_rate: float | None
    length_controlled_interval: Interval
    length_preference: float | None
    shorter_share: float = Field(description="questions on which the model's response is the shorter one")
    mean_length: float
    baseline_mean_length: float
    questions: int
    unscored: int


def win_rates(of: Judgements, *, level: float = 0.95, resamples: int = RESAMPLES) -> WinRates:
    """Win rates over questions; a question judged several times counts once, with its mean.

    Args:
        of: The judgements.
        level: Nominal coverage.
        resamples: Number of bootstrap resamples over questions.

    Raises:
        UserError: No judgement has a verdict.
    """
    scores, gaps = _by_question(of.judgements)
    scored = scores[np.isfinite(scores)]
    if not len(scored):
        raise UserError(f"No judgement of {of.model} against {of.baseline} has a verdict.")
    spread = None if len(scored) < 2 else float(scored.std(ddof=1)) / math.sqrt(len(scored))
    raw = mean_over_prompts(
        scored,
        generator(of.model, of.baseline, "win rate"),
        level=level,
        resamples=resamples,
        bounds=(0.0, 1.0),
    )
    controlled = length_controlled(
        scores, gaps, generator(of.model, of.baseline, "length"), level=level, resamples=resamples
    )
    point = controlled.win_rate.point
    wins, losses = int((scored > 0.5).sum()), int((scored < 0.5).sum())
    draws = len(scored) - wins - losses
    return WinRates(
        model=of.model,
        baseline=of.baseline,
        win_rate=100 * float(scored.mean()),
        standard_error=None if spread is None else 100 * spread,
        wins=wins,
        losses=losses,
        draws=draws,
        discrete_win_rate=100 * (wins + draws / 2) / len(scored),
        win_rate_interval=_percent(raw.model_copy(update={"levels": QUESTION_LEVELS if raw.levels else ()})),
        length_controlled_win_rate=None if point is None else 100 * point,
        length_controlled_interval=_percent(controlled.win_rate),
        length_preference=controlled.preference,
        shorter_share=float((gaps < 0).mean()),
        mean_length=float(np.mean([one.model_length for one in of.judgements])),
        baseline_mean_length=float(np.mean([one.baseline_length for one in of.judgements])),
        questions=len(scores),
        unscored=int((~np.isfinite(scores)).sum()),
    )


def _by_question(judgements: Sequence[Judgement]) -> tuple[Floats, Floats]:
    """Mean score (Q,), NaN without a verdict, and mean length difference (Q,) of each question."""
    found: dict[str, list[Judgement]] = defaultdict(list)
    for one in judgements:
        found[one.question].append(one)
    scores, gaps = [], []
    for of in found.values():
        known = [one.score for one in of if one.score is not None]
        scores.append(float(np.mean(known)) if known else math.nan)
        gaps.append(float(np.mean([one.model_length - one.baseline_length for one in of])))
    return np.array(scores), np.array(gaps)


def rescaled(interval: Interval, change: Callable[[float], float]) -> Interval:
    """An interval in another unit, rounded to nine digits."""
    ends = {name: getattr(interval, name) for name in ("point", "low", "high")}
    return interval.model_copy(
        update={name: None if end is None else float(f"{change(end):.9g}") for name, end in ends.items()}
    )


def _percent(interval: Interval) -> Interval:
    return rescaled(interval, lambda share: 100 * share)
