"""Win rates and ratings of checkpoints as metrics for result records."""

from collections.abc import Sequence
from dataclasses import dataclass

from rpo_bench.judge.pairing import REFERENCE, label_of, measured_alike, method_of
from rpo_bench.judge.questions import Question, by_comparison, judgements_of
from rpo_bench.judge.rating import rate
from rpo_bench.judge.win_rates import WinRates, rescaled, win_rates
from rpo_bench.results.schema import MetricValue
from rpo_bench.results.store import StoredRecord
from rpo_bench.stats.interval import QUESTION_LEVELS, Interval

SFT = "sft"
WIN_RATE, WIN_RATE_SFT, RATING = "win_rate", "win_rate_sft", "judge_rating"
AT_EQUAL_LENGTH = "_equal_length"
RESAMPLES = 2_000  # bootstrap resamples for intervals in records

#: Metrics that a judge adds to a record; those of further judges end in @ and the judge's name.
NAMES = (
    WIN_RATE,
    WIN_RATE + AT_EQUAL_LENGTH,
    WIN_RATE_SFT,
    WIN_RATE_SFT + AT_EQUAL_LENGTH,
    RATING,
)


@dataclass(frozen=True)
class JudgedComparison:
    """Win rates of a checkpoint against one baseline."""

    model: StoredRecord
    baseline: StoredRecord
    rates: WinRates


def comparisons(
    records: Sequence[StoredRecord], questions: Sequence[Question], resamples: int = RESAMPLES
) -> list[JudgedComparison]:
    """Win rates of all comparisons; those without a record or verdict are left out.

    Args:
        records: The judged results.
        questions: Questions of one judge.
        resamples: Number of bootstrap resamples.
    """
    known = {label_of(one): one for one in records}
    return [
        JudgedComparison(known[model], known[baseline], win_rates(judgements_of(own), resamples=resamples))
        for (model, baseline), own in by_comparison(questions).items()
        if model in known and baseline in known and any(one.score is not None for one in own)
    ]


def metrics_of(
    records: Sequence[StoredRecord], questions: Sequence[Question], backend: str, resamples: int = RESAMPLES
) -> dict[str, dict[str, MetricValue]]:
    """The metrics of a judge: cell → metrics.

    Win rates are against the reference policy and against SFT of the same seed at its largest judged
    strength. Ratings use every comparison of the same base model.

    Args:
        records: The judged results.
        questions: Questions of one judge.
        backend: The judge's name.
        resamples: Number of bootstrap resamples.
    """
    found: dict[str, dict[str, MetricValue]] = {}
    for one in sorted(comparisons(records, questions, resamples), key=_strength):
        name = _name(one)
        if name is not None:
            found.setdefault(one.model.record.cell, {}).update(_values(name, one, backend))
    for group in measured_alike(records):
        for label, interval in rate([label_of(one) for one in group], _anchor(group), questions).items():
            cell = next(one.record.cell for one in group if label_of(one) == label)
            unit = "logits above the reference policy, by Bradley–Terry"
            value = MetricValue(
                interval=interval, unit=unit, higher_is_better=True, backend=backend, scored=interval.n
            )
            found.setdefault(cell, {})[RATING] = value
    return found


def of_questions(name: str, metric: MetricValue) -> bool:
    """Whether a metric counts a judge's questions rather than samples."""
    return QUESTION_LEVELS[0] in metric.interval.levels or name.partition("@")[0] in NAMES


def _anchor(group: Sequence[StoredRecord]) -> str | None:
    return next((label_of(one) for one in group if method_of(one) == REFERENCE), None)


def _strength(one: JudgedComparison) -> float:
    return one.baseline.record.spec.strength or 0.0


def _name(one: JudgedComparison) -> str | None:
    if method_of(one.baseline) == REFERENCE:
        return WIN_RATE
    return WIN_RATE_SFT if method_of(one.baseline) == SFT else None


def _values(name: str, one: JudgedComparison, backend: str) -> dict[str, MetricValue]:
    rates = one.rates
    scored = rates.questions - rates.unscored
    against = one.baseline.record.spec
    whom = (
        "the reference policy" if against.strength is None else f"{against.method.label}@{against.strength:g}"
    )
    missing = {"no verdict in both orders": rates.unscored} if rates.unscored else {}

    def value(interval: Interval, unit: str) -> MetricValue:
        return MetricValue(
            interval=rescaled(interval, lambda percent: percent / 100),
            unit=unit,
            higher_is_better=True,
            backend=backend,
            scored=scored,
            unscored=missing,
        )

    return {
        name: value(rates.win_rate_interval, f"share of questions won against {whom}"),
        name + AT_EQUAL_LENGTH: value(
            rates.length_controlled_interval, f"share of questions won against {whom}, at equal length"
        ),
    }
