"""Who wins at equal KL: every method's reward at one KL budget, and what the leader's lead is worth."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rpo_bench.compare.panels import Panel, Row, Series
from rpo_bench.compare.scores import PanelScores, measured
from rpo_bench.frontier import frontier_points, interpolate
from rpo_bench.results.schema import Interval
from rpo_bench.site.resampling import LEVEL, Draws, Floats, interval, seed_means


@dataclass(frozen=True)
class Standing:
    """A method at the KL budget.

    Attributes:
        label: The series' label.
        reward: Its reward at the budget, over seeds and prompts.
        gain: The same less the reference policy's, on shared prompts.
        behind: The leader's reward less its own; None for the leader.
        seeds: Training seeds that count.
        lost: Checkpoints without a measurement, for they diverged.
        furthest: The KL of its furthest strength, in nats, where that is short of the budget.
    """

    label: str
    reward: Interval
    gain: Interval
    behind: Interval | None
    seeds: int
    lost: int
    furthest: float | None

    @property
    def resolved(self) -> bool:
        """Whether the leader is shown to be ahead: the difference, over training seeds, lies above zero."""
        if self.behind is None or self.behind.low is None:
            return False
        return self.behind.low > 0 and "training seeds" in self.behind.levels


@dataclass(frozen=True)
class Ranking:
    """The methods of a panel at one KL budget, best first.

    Attributes:
        budget: In nats.
        reference: The untrained policy's reward.
    """

    budget: float
    standings: tuple[Standing, ...]
    reference: Interval


@dataclass(frozen=True)
class _Line:
    """A series at the budget: its reward on all data and on every resample, (1 + R,)."""

    series: Series
    rewards: Floats
    gains: Floats
    seeds: int
    furthest: float


def rank(panel: Panel, scores: PanelScores, draws: Draws) -> Ranking | None:
    """Ranks a panel's methods by their reward at one KL budget; None where nothing can be ranked.

    The budget is the KL that at least half of the methods (and two, if there are two) reach, which no
    reward has a say in; there is none while fewer than that have measurably left the reference policy.
    A method is followed from the reference policy through its strengths in the order of their KL, in
    straight lines: mixing two policies gives at least the reward on the line between them, for at most
    its KL. One that ends before the budget stays where it ends: what it earns there is within the budget.
    """
    reference = _reference(panel, scores, draws)
    if reference is None:
        return None
    curves = {series.label: _curves(series, scores, draws) for series in panel.trained}
    curves = {label: of for label, of in curves.items() if of}
    if not curves:
        return None
    furthest = {label: _furthest(of) for label, of in curves.items()}
    budget = kl_budget(list(furthest.values()))
    if budget == 0:
        return None
    lines = [
        _line(series, curves[series.label], reference, budget, draws, furthest[series.label])
        for series in panel.trained
        if series.label in curves
    ]
    lines.sort(key=lambda line: (-line.rewards[0], line.series.label))
    prompts = len(scores.prompts)
    standings = tuple(_standing(line, lines[0], budget, prompts) for line in lines)
    return Ranking(budget, standings, interval(reference, 1, prompts))


def _furthest(curves: Mapping[int, tuple[Floats, Floats]]) -> float:
    """The mean over seeds of the largest KL, or 0 where resampled prompts don't keep it above 0."""
    of = np.mean([kl[:, kl[0].argmax()] for kl, _ in curves.values()], axis=0)  # (1 + R,)
    return float(of[0]) if np.quantile(of[1:], (1 - LEVEL) / 2) > 0 else 0.0


def kl_budget(furthest: list[float]) -> float:
    """The largest KL that half of the methods (two, if there are two) reach, down to two digits."""
    ordered = sorted(furthest, reverse=True)
    reached = ordered[min(max(math.ceil(len(ordered) / 2), 2), len(ordered)) - 1]
    if reached <= 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(reached)) - 1)
    return round(math.floor(reached / unit + 1e-9) * unit, 12)


def _reference(panel: Panel, scores: PanelScores, draws: Draws) -> Floats | None:
    """The reference policy's reward on all data and on every resample, (1 + R,)."""
    row = panel.reference
    if row is None or "reward" not in scores.metrics(row):
        return None
    return np.asarray(seed_means(scores.array(row, "reward"), draws.prompts).mean(axis=1))


def _curves(series: Series, scores: PanelScores, draws: Draws) -> Mapping[int, tuple[Floats, Floats]]:
    """Training seed → KL and reward of its strengths on every resample, (1 + R, T) each."""
    points: dict[int, list[tuple[Floats, Floats]]] = {}
    for row in series.rows:
        if not {"kl", "reward"} <= set(scores.metrics(row)):
            continue
        kl = seed_means(scores.array(row, "kl"), draws.prompts)
        reward = seed_means(scores.array(row, "reward"), draws.prompts)
        for s, stored in enumerate(measured(row)):
            points.setdefault(stored.record.spec.seed, []).append((kl[:, s], reward[:, s]))
    return {
        seed: (np.stack([kl for kl, _ in of], axis=1), np.stack([reward for _, reward in of], axis=1))
        for seed, of in sorted(points.items())
    }


def _line(
    series: Series,
    curves: Mapping[int, tuple[Floats, Floats]],
    reference: Floats,
    budget: float,
    draws: Draws,
    furthest: float,
) -> _Line:
    at_budget = [reward_within(kl, reward, reference, budget) for kl, reward in curves.values()]
    per_seed = np.stack(at_budget, axis=1)
    rewards = np.sum(draws.seeds(series.label, per_seed.shape[1]) * per_seed, axis=1)
    return _Line(series, rewards, rewards - reference, per_seed.shape[1], furthest)


def reward_within(kl: Floats, reward: Floats, reference: Floats, budget: float) -> Floats:
    """Each row's reward at a KL budget, by straight lines from the reference policy through its points.

    A frontier that ends before the budget stays where it ends.

    Args:
        kl: In nats, in any order, (R, T).
        reward: At these points, (R, T).
        reference: The reference policy's reward, (R,).
        budget: In nats.

    Returns:
        (R,).
    """
    points = frontier_points(kl, reward, reference)
    inside = interpolate(points, np.array([budget]))[:, 0]
    return np.where(np.isnan(inside), points.reward[:, -1], inside)


def _standing(line: _Line, leader: _Line, budget: float, prompts: int) -> Standing:
    behind = None
    if line is not leader:
        behind = interval(leader.rewards - line.rewards, min(line.seeds, leader.seeds), prompts)
    return Standing(
        label=line.series.label,
        reward=interval(line.rewards, line.seeds, prompts),
        gain=interval(line.gains, line.seeds, prompts),
        behind=behind,
        seeds=line.seeds,
        lost=sum(_lost(row) for row in line.series.rows),
        furthest=line.furthest if line.furthest < budget else None,
    )


def _lost(row: Row) -> int:
    return len(row.stored) - len(measured(row))
