"""Computes all metrics of a checkpoint from its stored samples, without loading the policy."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rpo_bench.data.row import Prompt
from rpo_bench.errors import UserError
from rpo_bench.metrics.protocol import (
    CorpusMetric,
    Metric,
    MetricContext,
    PromptMetric,
    SampleMetric,
    Score,
    Summary,
    Unscored,
)
from rpo_bench.metrics.proxy import Proxy
from rpo_bench.metrics.references import references_of
from rpo_bench.metrics.registry import METRICS
from rpo_bench.results.samples import ScoreLine, StoredSample, rounded_score
from rpo_bench.results.schema import MetricValue
from rpo_bench.spec.sections import Decoding
from rpo_bench.stats.arrays import Floats
from rpo_bench.stats.bootstrap import intervals
from rpo_bench.stats.interval import Interval, empty
from rpo_bench.stats.jackknife import jackknife_interval
from rpo_bench.stats.rates import rate_interval
from rpo_bench.stats.seeding import generator
from rpo_bench.tasks.task import RewardFunction


@dataclass(frozen=True)
class SuiteResult:
    """Scores and metrics.

    Attributes:
        scores: One line per sample, ordered by prompt, then sample.
        metrics: Name → value with its interval.
    """

    scores: tuple[ScoreLine, ...]
    metrics: dict[str, MetricValue]


@dataclass(frozen=True)
class _Column:
    """One number per prompt, whose mean is published; (P,), NaN if missing."""

    summary: Summary
    values: Floats
    backend: str | None
    scored: int
    unscored: dict[str, int]


def measure(
    prompts: Sequence[Prompt],
    samples: Sequence[StoredSample],
    *,
    reward: RewardFunction | None = None,
    reward_name: str | None = None,
    proxy: Proxy | None = None,
    toxicity: str = "profanity",
    allow_pickle: bool = False,
    decoding: Decoding | None = None,
    identity: str = "",
) -> SuiteResult:
    """Scores samples and computes metrics.

    Args:
        prompts: The prompts of the samples; further prompts are ignored.
        samples: The stored samples, in any order.
        reward: The reward function; None: no reward.
        reward_name: Its name in results; None: the function's own name.
        proxy: The proxy reward; None: no proxy.
        toxicity: The classifier, as in ``toxicity_metric``.
        allow_pickle: Whether a classifier's weights may be pickled.
        decoding: How the samples were drawn; None: ancestral sampling.
        identity: Seed of the resampling: the cell's hash.

    Raises:
        UserError: There are no samples, a prompt is unknown, a sample is duplicated, or a metric returns
            invalid values.
    """
    context = MetricContext(
        decoding=decoding or Decoding(),
        reward=reward,
        reward_name=reward_name,
        samples_per_prompt=max(Counter(sample.prompt_id for sample in samples).values(), default=0),
        toxicity=toxicity,
        allow_pickle=allow_pickle,
        proxy=proxy,
        references=any(references_of(prompt) for prompt in prompts),
    )
    metrics = [metric for name in METRICS for metric in METRICS.get(name)(context)]
    return run_metrics(metrics, prompts, samples, identity)


def run_metrics(
    metrics: Sequence[Metric], prompts: Sequence[Prompt], samples: Sequence[StoredSample], identity: str
) -> SuiteResult:
    """``measure`` with given metrics."""
    ordered, owners = _ordered(prompts, samples)
    groups = _groups(ordered)
    by_metric: dict[str, list[Score]] = {}
    columns: list[_Column] = []
    values: dict[str, MetricValue] = {}
    for metric in metrics:
        if isinstance(metric, SampleMetric):
            scores = by_metric[metric.name] = _checked(metric, metric.score(owners, ordered), len(ordered))
            columns += _sample_columns(metric, scores, groups)
        elif isinstance(metric, PromptMetric):
            columns.append(_prompt_column(metric, groups))
        elif isinstance(metric, CorpusMetric):
            _add(values, metric.name, _corpus_value(metric, groups))
    for column, interval in zip(columns, _intervals(columns, identity), strict=True):
        summary = column.summary
        value = MetricValue(
            interval=interval,
            unit=summary.unit,
            higher_is_better=summary.higher_is_better,
            backend=column.backend,
            scored=column.scored,
            unscored=column.unscored,
        )
        _add(values, summary.name, value)
    lines = [_line(sample, index, by_metric) for index, sample in enumerate(ordered)]
    return SuiteResult(tuple(lines), dict(sorted(values.items())))


def _ordered(
    prompts: Sequence[Prompt], samples: Sequence[StoredSample]
) -> tuple[list[StoredSample], list[Prompt]]:
    """The samples by prompt and number, and the prompt of each."""
    if not samples:
        raise UserError("There are no samples to score.")
    known = {prompt.prompt_id: prompt for prompt in prompts}
    place = {name: index for index, name in enumerate(known)}
    for sample in samples:
        if sample.prompt_id not in known:
            raise UserError(f"A sample's prompt '{sample.prompt_id}' isn't in the task.")
    ordered = sorted(samples, key=lambda sample: (place[sample.prompt_id], sample.sample))
    keys = Counter((sample.prompt_id, sample.sample) for sample in ordered)
    (name, number), count = keys.most_common(1)[0]
    if count > 1:
        raise UserError(f"Sample {number} of prompt '{name}' is stored {count} times.")
    return ordered, [known[sample.prompt_id] for sample in ordered]


def _groups(ordered: Sequence[StoredSample]) -> list[list[StoredSample]]:
    """P lists, one per prompt."""
    found: dict[str, list[StoredSample]] = {}
    for sample in ordered:
        found.setdefault(sample.prompt_id, []).append(sample)
    return list(found.values())


def _checked(metric: Metric, scores: list[Score], count: int) -> list[Score]:
    """The scores in stored form, with NaN as "unscored"."""
    if len(scores) != count:
        raise UserError(f"The metric '{metric.name}' returned {len(scores)} scores for {count} samples.")
    return [_finite(metric, score) for score in scores]


def _finite(metric: Metric, score: Score) -> Score:
    if isinstance(score, Unscored):
        return score
    return rounded_score(score) if np.isfinite(score) else Unscored(f"{metric.name} is {score}")


def _sample_columns(
    metric: SampleMetric, scores: Sequence[Score], groups: Sequence[Sequence[StoredSample]]
) -> list[_Column]:
    width = max(len(group) for group in groups)
    table = np.full((len(groups), width), np.nan)  # (P, n)
    remaining = iter(scores)
    for row, group in enumerate(groups):
        for place in range(len(group)):
            score = next(remaining)
            table[row, place] = np.nan if isinstance(score, Unscored) else score
    reasons = Counter(score.reason for score in scores if isinstance(score, Unscored))
    scored = len(scores) - reasons.total()
    found = []
    for summary in metric.summaries:
        unit = f"{summary.unit}, n = {width}" if summary.names_n else summary.unit
        named = Summary(summary.name, unit, summary.higher_is_better, summary.reduce, summary.bounds)
        found.append(_Column(named, summary.reduce(table), metric.backend, scored, dict(reasons)))
    return found


def _prompt_column(metric: PromptMetric, groups: Sequence[Sequence[StoredSample]]) -> _Column:
    scores = [_finite(metric, metric.compute(group)) for group in groups]
    reasons: Counter[str] = Counter()
    for score, group in zip(scores, groups, strict=True):
        if isinstance(score, Unscored):
            reasons[score.reason] += len(group)
    values = np.array([np.nan if isinstance(score, Unscored) else score for score in scores])
    summary = Summary(metric.name, metric.unit, metric.higher_is_better, bounds=metric.bounds)
    scored = sum(map(len, groups)) - reasons.total()
    return _Column(summary, values, metric.backend, scored, dict(reasons))


def _corpus_value(metric: CorpusMetric, groups: Sequence[Sequence[StoredSample]]) -> MetricValue:
    count = sum(map(len, groups))
    score = _finite(metric, metric.compute(groups))
    if isinstance(score, Unscored):
        interval, scored, unscored = empty(), 0, {score.reason: count}
    else:
        left_out = metric.left_out(groups) if len(groups) > 1 else np.zeros(1)
        interval, scored, unscored = jackknife_interval(score, left_out, bounds=metric.bounds), count, {}
    return MetricValue(
        interval=interval,
        unit=metric.unit,
        higher_is_better=metric.higher_is_better,
        backend=metric.backend,
        scored=scored,
        unscored=unscored,
    )


def _intervals(columns: Sequence[_Column], identity: str) -> list[Interval]:
    """Wilson intervals if every prompt's number is 0 or 1, otherwise a bootstrap over prompts."""
    if not columns:
        return []
    table = np.stack([column.values for column in columns], axis=1)  # (P, M)
    bounds = [column.summary.bounds for column in columns]
    found = intervals(table, generator(identity, "metrics"), bounds=bounds)
    for index, column in enumerate(columns):
        scored = column.values[np.isfinite(column.values)]
        if column.summary.bounds == (0.0, 1.0) and len(scored) > 1 and np.isin(scored, (0.0, 1.0)).all():
            found[index] = rate_interval(int(scored.sum()), len(scored))
    return found


def _add(values: dict[str, MetricValue], name: str, value: MetricValue) -> None:
    if name in values:
        raise UserError(f"Two metrics are called '{name}': rename the one in your plug-in.")
    values[name] = value


def _line(sample: StoredSample, index: int, by_metric: dict[str, list[Score]]) -> ScoreLine:
    found = {name: scores[index] for name, scores in by_metric.items()}
    return ScoreLine(
        prompt_id=sample.prompt_id,
        sample=sample.sample,
        scores={name: None if isinstance(score, Unscored) else score for name, score in found.items()},
        unscored={name: score.reason for name, score in found.items() if isinstance(score, Unscored)},
    )
