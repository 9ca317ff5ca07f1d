"""What is in a data set: the numbers behind ``rpo-bench data check``."""

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
    """Rewards from ``low`` up to, but for the last bin not including, ``high``; equal for a single value."""

    low: float
    high: float
    count: int


@dataclass(frozen=True)
class RewardSummary:
    """The distribution of all rewards. ``sd`` divides by N, as z-scoring in training does.

    ``markers`` are values that lie so far from all others that they will stand for something else.
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
    """Rows that repeat others.

    Attributes:
        rows: beyond the first of each (prompt, response, reward).
        responses: beyond the first of each (prompt, response), whatever the reward.
        conflicting: (prompt, response) that have more than one reward.
        prompts: texts that stand under more than one prompt_id.
        near: prompts that are like an earlier one but for spacing, case or Unicode form.
    """

    rows: int
    responses: int
    conflicting: int
    prompts: int
    near: int


@dataclass(frozen=True)
class DataReport:
    """What is in a data set of N rows on P prompts.

    Attributes:
        source: as the user wrote it.
        rows: N.
        prompts: P.
        skipped: records that were left out.
        skip_reasons: of the first few.
        splits: the rows' own split ("none" where they have none) → rows.
        responses_per_prompt: K → prompts with K responses.
        pairs: preference pairs among the rows.
        reward: the distribution of all rewards.
        constant_prompts: prompts of at least two responses whose rewards are all equal.
        desirable_share: labelling rule → share of rows that it calls desirable.
        duplicates: rows that repeat others.
        empty_responses: responses without any text.
        prompt_words: over the P prompts; words are what white space separates.
        prompt_characters: over the P prompts.
        response_words: over the N rows.
        response_characters: over the N rows.
        with_behaviour_logp: rows that have one.
        with_reference_rewards: prompts that have some.
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
    """Counts and summarises rows; they must be at least one."""
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
        prompt_words=_lengths([length_in_words(text) for text in texts.values()]),
        prompt_characters=_lengths([len(text) for text in texts.values()]),
        response_words=_lengths([length_in_words(row.response) for row in rows]),
        response_characters=_lengths([len(row.response) for row in rows]),
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
    """The lowest and the highest of different rewards, ascending (M,), if they stand apart like a −999.

    Apart is a hundred times further from the next one than all others are from one another: where a marker
    is in the data, standard deviations are its own, and can't find it.
    """
    found = []
    for end, rest in ((values[0], values[1:]), (values[-1], values[:-1])):
        if len(rest) > 1 and np.abs(rest - end).min() > FAR_APART * np.ptp(rest):
            found.append(float(end))
    return tuple(found)


def find_duplicates(rows: Sequence[Row]) -> Duplicates:
    """How many rows repeat others, and how many responses are scored in two ways."""
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


def _lengths(values: list[int]) -> Lengths:
    """Percentiles that occur in the data, not interpolated ones."""
    points = np.percentile(values, [0, 5, 50, 95, 99, 100], method="nearest")
    return Lengths(*(int(point) for point in points))
