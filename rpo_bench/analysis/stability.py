"""Training stability of methods over seeds, from stored records and logs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rpo_bench.analysis.panels import Panel, Row, Series, panels
from rpo_bench.analysis.scores import PanelScores, read_panel_scores
from rpo_bench.analysis.sensitivity import Sensitivity, sensitivities
from rpo_bench.errors import UserError
from rpo_bench.results.store import StoredRecord, read_results, read_train_log
from rpo_bench.spec.settings import Frozen
from rpo_bench.stats.arrays import Floats
from rpo_bench.stats.bootstrap import mean_over_prompts
from rpo_bench.stats.interval import Interval
from rpo_bench.stats.rates import rate_interval
from rpo_bench.stats.seeding import generator
from rpo_bench.stats.training_stability import mean_stability

#: Share of the worst seeds whose mean is reported.
TAIL = 0.25


class MethodStability(Frozen):
    """A method at a strength and a learning rate, over its training seeds."""

    task: str
    model: str
    method: str
    strength: float | None
    learning_rate: float | None
    seeds: int
    diverged: int
    reasons: dict[str, int]
    diverged_share: Interval
    reward_iqr: float | None
    reward_worst: float | None
    steps_to_threshold: float | None
    reached: int | None
    measures: dict[str, float]


class StabilityReport(Frozen):
    """The stability report of some results."""

    rows: tuple[MethodStability, ...]
    sensitivity: tuple[Sensitivity, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Limits:
    """Thresholds of divergence and of convergence.

    Attributes:
        kl_cap: Nats per sequence beyond which a checkpoint counts as diverged.
        threshold: Probe reward to report the first step of, or None.
    """

    kl_cap: float = 20.0
    threshold: float | None = None


def stability_report(roots: Sequence[Path], limits: Limits) -> StabilityReport:
    """The stability of every trained method under some result folders.

    Raises:
        UserError: There is nothing that was trained.
    """
    results = read_results(roots)
    found = panels(results.records)
    rows: list[MethodStability] = []
    sensitive: list[Sensitivity] = []
    for panel in found:
        scores = read_panel_scores(panel)
        for series in panel.trained:
            rows += [_row(panel, series, row, scores, limits) for row in series.rows]
        sensitive += sensitivities(panel)
    if not rows:
        where = ", ".join(map(str, roots))
        raise UserError(f"{where}: there is no trained checkpoint among the results.")
    notes = tuple(f"{one.folder} can't be used: {one.reason}." for one in results.broken)
    return StabilityReport(rows=tuple(rows), sensitivity=tuple(sensitive), notes=notes)


def _row(panel: Panel, series: Series, row: Row, scores: PanelScores, limits: Limits) -> MethodStability:
    reasons: dict[str, int] = {}
    for stored in row.stored:
        if (why := divergence(stored, panel, scores, limits.kl_cap)) is not None:
            reasons[why] = reasons.get(why, 0) + 1
    rewards = np.array([value for s in row.stored if (value := s.record.point("reward")) is not None])
    steps = None if limits.threshold is None else [_arrival(s, limits.threshold) for s in row.stored]
    arrived = None if steps is None else [step for step in steps if step is not None]
    diverged = sum(reasons.values())
    measures = mean_stability(stored.record.stability for stored in row.stored)
    measures.pop("diverged", None)  # counted here, by more than a loss that isn't finite
    return MethodStability(
        task=panel.task,
        model=panel.model,
        method=series.label,
        strength=row.strength,
        learning_rate=row.spec.training.learning_rate,
        seeds=len(row.stored),
        diverged=diverged,
        reasons=reasons,
        diverged_share=rate_interval(diverged, len(row.stored), levels=("training seeds",)),
        reward_iqr=across_iqr(rewards),
        reward_worst=worst_mean(rewards),
        steps_to_threshold=float(np.median(arrived)) if arrived else None,
        reached=None if arrived is None else len(arrived),
        measures=measures,
    )


def across_iqr(values: Floats) -> float | None:
    """Interquartile range over the seeds, (S,); None for fewer than two."""
    if len(values) < 2:
        return None
    low, high = np.quantile(values, (0.25, 0.75))
    return float(high - low)


def worst_mean(values: Floats, tail: float = TAIL) -> float | None:
    """The mean of the worst quarter (at least one) of the seeds' rewards, (S,): conditional value at risk."""
    if len(values) < 2:
        return None
    return float(np.sort(values)[: max(1, math.ceil(tail * len(values)))].mean())


def divergence(stored: StoredRecord, panel: Panel, scores: PanelScores, kl_cap: float) -> str | None:
    """Why a checkpoint counts as diverged; None if it doesn't.

    The loss stopped being finite, the KL exceeds the cap, or the reward is below the reference policy's
    beyond chance (the 95 % interval of the paired difference over prompts is below 0).
    """
    if stored.record.status == "diverged":
        return "not finite"
    kl = stored.record.point("kl")
    if kl is not None and kl > kl_cap:
        return f"KL over {kl_cap:g}"
    return "reward under the reference's" if _below_reference(stored, panel, scores) else None


def _below_reference(stored: StoredRecord, panel: Panel, scores: PanelScores) -> bool:
    if panel.reference is None:
        return False
    base = scores.cells.get(panel.reference.stored[0].record.cell, {}).get("reward")
    mine = scores.cells.get(stored.record.cell, {}).get("reward")
    if base is None or mine is None:
        return False
    rng = generator(stored.record.cell, "below the reference")
    gap = mean_over_prompts(mine - base, rng, resamples=2000)
    return gap.high is not None and gap.high < 0


def _arrival(stored: StoredRecord, threshold: float) -> int | None:
    """The first step whose probe reward is at the threshold; None if none is."""
    try:
        log = read_train_log(stored.folder)
    except UserError:  # a damaged log doesn't count
        return None
    return first_step(log, threshold)


def first_step(log: Sequence[Mapping[str, Any]], threshold: float) -> int | None:
    """The first step whose ``probe_reward`` is at least the threshold."""
    for entry in sorted(log, key=_step):
        reward = entry.get("probe_reward")
        if isinstance(reward, int | float) and reward >= threshold:
            return _step(entry)
    return None


def _step(entry: Mapping[str, Any]) -> int:
    step = entry.get("step", 0)
    return int(step) if isinstance(step, int | float) else 0
