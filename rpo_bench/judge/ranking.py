"""Compares the ranking of methods by a judge with that by gold reward, on the same responses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t

from rpo_bench.judge.pairing import REFERENCE, label_of, measured_alike, method_of
from rpo_bench.judge.questions import Question
from rpo_bench.results.store import StoredRecord
from rpo_bench.stats.arrays import Floats
from rpo_bench.stats.bootstrap import bootstrap_means, intervals
from rpo_bench.stats.interval import Interval, empty, made, point_only
from rpo_bench.stats.seeding import generator

LEVELS = ("prompts",)
RESAMPLES = 2_000
_FULL = 1 - 1e-9  # Fisher's z of a correlation of 1 is infinite

#: Label → question → gold reward of the judged response.
Rewards = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Ranked:
    """A method at a strength, over its training seeds.

    Attributes:
        name: ``rpo@0.3``.
        win_rate: Win rate against the reference policy by the judge.
        reward: Gold reward of the same responses.
        judge_rank: Rank by win rate, 1 is best, with the range of 95 % of the resamples.
        gold_rank: Rank by reward, with the same range.
    """

    name: str
    win_rate: Interval
    reward: Interval
    judge_rank: tuple[int, int, int]
    gold_rank: tuple[int, int, int]


@dataclass(frozen=True)
class Rankings:
    """Both rankings of one base model's rows, best by reward first.

    Attributes:
        title: Task and model.
        rows: The ranked methods.
        correlation: Spearman's correlation of both rankings; its interval is over prompts.
    """

    title: str
    rows: tuple[Ranked, ...]
    correlation: Interval


def rankings(
    records: Sequence[StoredRecord], questions: Sequence[Question], rewards: Rewards
) -> list[Rankings]:
    """Both rankings for each base model with at least two rows judged against the reference.

    Args:
        records: The results.
        questions: Questions of one judge.
        rewards: Gold rewards.
    """
    found = [_ranked(group, questions, rewards) for group in measured_alike(records)]
    return [one for one in found if one is not None]


def _ranked(
    group: Sequence[StoredRecord], questions: Sequence[Question], rewards: Rewards
) -> Rankings | None:
    rows = {label_of(one): _row(one) for one in group}
    anchors = {label_of(one) for one in group if method_of(one) == REFERENCE}
    cells: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for one in questions:
        reward = rewards.get(one.model, {}).get(one.name)
        if one.model in rows and one.baseline in anchors and one.score is not None and reward is not None:
            prompt = one.name.rpartition("/")[0]
            cells.setdefault((rows[one.model], prompt), []).append((one.points or 0.0, reward))
    names = sorted({name for name, _ in cells})
    if len(names) < 2:
        return None
    judge, gold = _tables(cells, names)
    spec = group[0].record.spec
    rng = generator(spec.task, spec.model, "rankings")
    draws = bootstrap_means(np.concatenate([judge, gold], axis=1), rng, RESAMPLES)  # (B, 2M)
    return _compared(f"{spec.task}, {spec.model}", names, (judge, gold), draws)


def _row(stored: StoredRecord) -> str:
    spec = stored.record.spec
    return method_of(stored) if spec.strength is None else f"{spec.method.label}@{spec.strength:g}"


def _tables(
    cells: Mapping[tuple[str, str], Sequence[tuple[float, float]]], names: Sequence[str]
) -> tuple[Floats, Floats]:
    """Means over seeds and samples, by prompt and row: judge (P, M) and gold (P, M), NaN where not judged."""
    prompts = sorted({prompt for _, prompt in cells})
    table = np.full((len(prompts), len(names), 2), np.nan)
    for (name, prompt), values in cells.items():
        table[prompts.index(prompt), names.index(name)] = np.mean(values, axis=0)
    return table[..., 0], table[..., 1]


def _compared(title: str, names: Sequence[str], tables: tuple[Floats, Floats], draws: Floats) -> Rankings:
    m = len(names)
    points = [np.nanmean(table, axis=0) for table in tables]
    parts = (draws[:, :m], draws[:, m:])
    ranks = [_rank_ranges(point, part) for point, part in zip(points, parts, strict=True)]
    rng = generator(title, "means")
    shares = intervals(tables[0], rng, bounds=[(0.0, 1.0)] * m, levels=LEVELS)
    rewards = intervals(tables[1], rng, levels=LEVELS)
    rows = [Ranked(names[i], shares[i], rewards[i], ranks[0][i], ranks[1][i]) for i in range(m)]
    rows.sort(key=lambda row: row.gold_rank[0])
    return Rankings(title, tuple(rows), _correlation(points, parts, len(tables[0])))


def _rank_ranges(points: Floats, draws: Floats) -> list[tuple[int, int, int]]:
    """Rank of each point (M,), 1 the highest, with the central 95 % of its ranks among draws (B, M)."""
    ranks = _ranks(points[None])[0]
    low, high = np.quantile(_ranks(draws), (0.025, 0.975), axis=0, method="inverted_cdf")
    return [(int(ranks[i]), int(low[i]), int(high[i])) for i in range(len(points))]


def _ranks(values: Floats) -> Floats:
    """Ranks within each row, 1 for the highest; ties share the best rank; (B, M)."""
    higher: Floats = (values[:, None, :] > values[:, :, None]).sum(2) + 1.0
    return higher


def _correlation(points: Sequence[Floats], parts: Sequence[Floats], n: int) -> Interval:
    point = _spearman(points[0][None], points[1][None])[0]
    if not np.isfinite(point):
        return empty()
    if n < 2:
        return point_only(float(point), n, 0.95)
    # Resampling adds noise to both rankings and lowers their correlation, so only the spread is used.
    draws = _fisher(_spearman(*parts))
    middle, reach = _fisher(np.array(point)), t.ppf(0.975, n - 1) * float(np.nanstd(draws, ddof=1))
    low, high = (float(np.tanh(middle + side * reach)) for side in (-1, 1))
    return made(
        (low, float(point), high),
        n=n,
        level=0.95,
        method="bootstrap",
        levels=LEVELS,
        resamples=len(parts[0]),
        within=(-1.0, 1.0),
    )


def _fisher(correlation: Floats) -> Floats:
    """Fisher's z, a scale on which a correlation's spread hardly depends on its size."""
    return np.asarray(np.arctanh(np.clip(correlation, -_FULL, _FULL)))


def _spearman(one: Floats, other: Floats) -> Floats:
    """Spearman's correlation within each row, by mean ranks; (B,), NaN where all values are equal."""
    a, b = (_mean_ranks(part) - (part.shape[1] + 1) / 2 for part in (one, other))
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = (a * b).sum(1) / np.sqrt(np.square(a).sum(1) * np.square(b).sum(1))
    return found


def _mean_ranks(values: Floats) -> Floats:
    above = (values[:, None, :] > values[:, :, None]).sum(2)
    equal = (values[:, None, :] == values[:, :, None]).sum(2)
    ranks: Floats = above + (equal + 1) / 2
    return ranks
