"""Statistics of a data set for ``rpo-bench data check``."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rpo_bench.data.conversation import alike
from rpo_bench.data.convert import LabelRule, desirable_labels, group_ids, group_statistics, rewards_of
from rpo_bench.data.row import Row
from rpo_bench.data.words import length_in_words

BINS = 10
FAR_APART = 100
LABEL_RULES: tuple[LabelRule, ...] = ("prompt_mean", "global_mean", "positive")


@dataclass(frozen=True)
class Bin:
    """Rewards in [``low``, ``high``), or [``low``, ``high``] for the last bin; equal for a single value."""

    low: float
    high: float
    count: int


@dataclass(frozen=True)
class RewardSummary:
    """The distribution of all rewards. ``sd`` divides by N, like z-scoring in training.

    ``markers`` are values so far from all others that they probably mark missing rewards.
    """

    minimum: float
    quartile_1: float
    median: float
    quartile_3: float
    maximum: float
    mean: float
    sd: float
    distinct: int
    markers: tuple[float, ...]
    histogram: tuple[Bin, ...]


@dataclass(frozen=True)
class Lengths:
    """Percentiles of a length."""

    minimum: int
    p5: int
    median: int
    p95: int
    p99: int
    maximum: int


@dataclass(frozen=True)
class Duplicates:
    """Duplicate rows.

    Attributes:
        rows: repetitions of (prompt, response, reward).
        responses: repetitions of (prompt, response) with any reward.
        conflicting: (prompt, response) combinations with more than one reward.
        prompts: texts with more than one prompt_id.
        near: prompts that differ from an earlier one only in spacing, case or Unicode form.
    """

    rows: int
    responses: int
    conflicting: int
    prompts: int
    near: int


@dataclass(frozen=True)
class DataReport:
    """Statistics of a data set of N rows on P prompts.

    Attributes:
        source: as the user wrote it.
        rows: N.
        prompts: P.
        skipped: number of skipped records.
        skip_reasons: reasons for the first few.
        splits: the rows' own split ("none" if absent) → rows.
        responses_per_prompt: K → prompts with K responses.
        pairs: preference pairs among the rows.
        reward: the distribution of all rewards.
        constant_prompts: prompts with at least two responses and equal rewards.
        desirable_share: labelling rule → share of desirable rows.
        duplicates: duplicate rows.
        empty_responses: responses without any text.
        prompt_words: over the P prompts; words are separated by white space.
        prompt_characters: over the P prompts.
        response_words: over the N rows.
        response_characters: over the N rows.
        with_behaviour_logp: rows with ``behaviour_logp``.
        with_reference_rewards: prompts with ``reference_rewards``.
    """

    source: str
    rows: int
    prompts: int
    skipped: int
    skip_reasons: tuple[str, ...]
    splits: dict[str, int]
    responses_per_prompt: dict[int, int]
    pairs: int
    reward: RewardSummary
    constant_prompts: int
    desirable_share: dict[str, float]
    duplicates: Duplicates
    empty_responses: int
    prompt_words: Lengths
    prompt_characters: Lengths
    response_words: Lengths
    response_characters: Lengths
    with_behaviour_logp: int
    with_reference_rewards: int


def describe(
    rows: Sequence[Row], source: str, skipped: int = 0, skip_reasons: tuple[str, ...] = ()
) -> DataReport:
    """Counts and summarises rows; needs at least one row."""
    rewards, groups = rewards_of(rows), group_ids(rows)
    _, lows, highs = group_statistics(rewards, groups)
    sizes = np.bincount(groups)  # (P,)
    texts = {row.prompt_id: row.prompt for row in rows}
    scored = {row.prompt_id for row in rows if row.reference_rewards is not None}
    return DataReport(
        source=source,
        rows=len(rows),
        prompts=len(texts),
        skipped=skipped,
        skip_reasons=skip_reasons,
        splits=dict(Counter(row.split or "none" for row in rows)),
        responses_per_prompt=dict(sorted(Counter(sizes.tolist()).items())),
        pairs=len({(row.prompt_id, row.pair) for row in rows if row.pair is not None}),
        reward=summarise_rewards(rewards),
        constant_prompts=int(((lows == highs) & (sizes > 1)).sum()),
        desirable_share={rule: float(desirable_labels(rewards, groups, rule).mean()) for rule in LABEL_RULES},
        duplicates=find_duplicates(rows),
        empty_responses=sum(not row.response.strip() for row in rows),
        prompt_words=lengths_of([length_in_words(text) for text in texts.values()]),
        prompt_characters=lengths_of([len(text) for text in texts.values()]),
        response_words=lengths_of([length_in_words(row.response) for row in rows]),
        response_characters=lengths_of([len(row.response) for row in rows]),
        with_behaviour_logp=sum(row.behaviour_logp is not None for row in rows),
        with_reference_rewards=len(scored),
    )


def summarise_rewards(rewards: NDArray[np.float64]) -> RewardSummary:
    """Quartiles, moments and a histogram of rewards (N,); one bin per value where the values are few."""
    low, q1, median, q3, high = np.percentile(rewards, [0, 25, 50, 75, 100])
    values, counts = np.unique(rewards, return_counts=True)
    if len(values) <= BINS:
        bins = [Bin(float(v), float(v), int(c)) for v, c in zip(values, counts, strict=True)]
    else:
        counts, edges = np.histogram(rewards, bins=BINS)
        bins = [Bin(float(edges[i]), float(edges[i + 1]), int(c)) for i, c in enumerate(counts)]
    return RewardSummary(
        minimum=float(low),
        quartile_1=float(q1),
        median=float(median),
        quartile_3=float(q3),
        maximum=float(high),
        mean=float(rewards.mean()),
        sd=float(rewards.std()),
        distinct=len(values),
        markers=_markers(values),
        histogram=tuple(bins),
    )


def _markers(values: NDArray[np.float64]) -> tuple[float, ...]:
    """The lowest or highest of the distinct rewards, ascending (M,), if it is an outlier such as −999.

    An outlier is a hundred times further from the next value than the range of all others. Standard
    deviations can't detect it, as the outlier itself dominates them.
    """
    found = []
    for end, rest in ((values[0], values[1:]), (values[-1], values[:-1])):
        if len(rest) > 1 and np.abs(rest - end).min() > FAR_APART * np.ptp(rest):
            found.append(float(end))
    return tuple(found)


def find_duplicates(rows: Sequence[Row]) -> Duplicates:
    """Counts duplicate rows and responses with conflicting rewards."""
    rewards: dict[tuple[str, str], Counter[float]] = {}
    ids: dict[str, set[str]] = {}
    for row in rows:
        rewards.setdefault((row.prompt, row.response), Counter())[row.reward] += 1
        ids.setdefault(row.prompt, set()).add(row.prompt_id)
    return Duplicates(
        rows=sum(count - 1 for scores in rewards.values() for count in scores.values()),
        responses=len(rows) - len(rewards),
        conflicting=sum(len(scores) > 1 for scores in rewards.values()),
        prompts=sum(len(names) > 1 for names in ids.values()),
        near=len(ids) - len({alike(prompt) for prompt in ids}),
    )


def lengths_of(values: list[int]) -> Lengths:
    """Percentiles without interpolation, so that they occur in the data."""
    points = np.percentile(values, [0, 5, 50, 95, 99, 100], method="nearest")
    return Lengths(*(int(point) for point in points))
