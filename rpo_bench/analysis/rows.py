"""The rows of the board: what the terminal and the page both show of every method and strength."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rpo_bench.analysis.field import badge_of
from rpo_bench.analysis.panels import Panel, Row, Series
from rpo_bench.analysis.scores import PanelScores, measured
from rpo_bench.stats.arrays import Floats
from rpo_bench.stats.interval import Interval
from rpo_bench.stats.joint import Joint, Term
from rpo_bench.stats.oracle import Oracle, reward_on
from rpo_bench.stats.per_seed import mean_of_checkpoints
from rpo_bench.stats.training_stability import mean_stability

Badge = Literal["reference", "preliminary", "published", "headline"]


_BOUNDED = ("share", "probability", "0 to 1")  # units of quantities between 0 and 1


@dataclass(frozen=True)
class Value:
    """A cell of the table.

    Attributes:
        interval: The estimate, over seeds and prompts where possible.
        seeds: Training seeds behind it.
        prompts: Prompts behind it; None for a measure of all samples at once.
        backend: What scored it.
    """

    interval: Interval
    seeds: int
    prompts: int | None
    backend: str | None = None

    @property
    def n(self) -> str:
        """``3 × 128``: seeds by prompts."""
        return f"{self.seeds}" if self.prompts is None else f"{self.seeds} × {self.prompts}"


@dataclass(frozen=True)
class BoardRow:
    """A method at a strength on a task with a base model, over its training seeds.

    Attributes:
        key: What addresses call it: the beginning of its first checkpoint's hash.
        method: The method's label, with a suffix that distinguishes it from others of the same name.
        strength: None for the reference policy.
        seeds: Seeds that were trained, ordered.
        diverged: How many of them diverged.
        unmeasured: How many have no metrics, for that reason.
        values: Metric → value; a metric that no checkpoint has is left out.
        unscored: Metric → samples without a score, over all seeds.
        train_seconds: Mean training time of a checkpoint.
        stability: Measure → mean over the seeds that have it.
        command: Reproduces the first seed's checkpoint.
    """

    key: str
    task: str
    model: str
    architecture: str
    method: str
    strength: float | None
    strength_name: str
    seeds: tuple[int, ...]
    diverged: int
    unmeasured: int
    values: Mapping[str, Value]
    unscored: Mapping[str, int]
    train_seconds: float
    stability: Mapping[str, float]
    command: str

    @property
    def badge(self) -> Badge:
        """What the number of training seeds allows to claim."""
        if self.strength is None:
            return "reference"
        return badge_of(len(self.seeds))

    def point(self, metric: str) -> float | None:
        """A metric's estimate, or None where there is none."""
        return self.values[metric].interval.point if metric in self.values else None


def panel_rows(panel: Panel, scores: PanelScores, joint: Joint, oracle: Oracle | None) -> list[BoardRow]:
    """One panel's rows."""
    known = oracle.select(scores.prompts) if oracle else None
    yardstick = None if known is None else _Yardstick.of(known, joint)
    return [
        _board_row(panel, series, row, _values(series, row, scores, joint, yardstick))
        for series in panel.series
        for row in series.rows
    ]


@dataclass(frozen=True)
class _Yardstick:
    """The oracle as resampled: KL and reward by τ, (1 + P + R, T), and where it ends, in nats."""

    kl: Floats
    reward: Floats
    end: float

    @classmethod
    def of(cls, oracle: Oracle, joint: Joint) -> "_Yardstick":
        return cls(joint.means(oracle.kl), joint.means(oracle.reward), oracle.end)


def _board_row(panel: Panel, series: Series, row: Row, values: Mapping[str, Value]) -> BoardRow:
    records = [stored.record for stored in row.stored]
    unscored: dict[str, int] = {}
    for record in records:
        for name, metric in record.metrics.items():
            unscored[name] = unscored.get(name, 0) + sum(metric.unscored.values())
    return BoardRow(
        key=records[0].cell[:12],
        task=panel.task,
        model=panel.model,
        architecture=panel.architecture,
        method=series.label,
        strength=row.strength,
        strength_name=records[0].strength_name,
        seeds=tuple(record.spec.seed for record in records),
        diverged=sum(record.status == "diverged" for record in records),
        unmeasured=sum(not record.metrics for record in records),
        values=values,
        unscored={name: n for name, n in unscored.items() if n},
        train_seconds=float(np.mean([record.cost.train_seconds for record in records])),
        stability=mean_stability(record.stability for record in records),
        command=records[0].command,
    )


def _values(
    series: Series, row: Row, scores: PanelScores, joint: Joint, oracle: _Yardstick | None
) -> dict[str, Value]:
    """Every metric of a row, by the best interval that its data allow."""
    records = [stored.record for stored in measured(row)]
    terms = _terms(series, row, scores, joint)
    names = sorted({name for record in records for name in record.metrics})
    values: dict[str, Value] = {}
    for name in names:
        own = next(r.metrics[name] for r in records if name in r.metrics)
        backend = own.backend
        if name in terms:
            found = _in_range(joint.contrast([terms[name]]).interval, own.unit)
            values[name] = Value(found, len(records), int(terms[name].scored.sum()), backend)
        elif (
            value := _over_seeds([r.metrics[name].interval for r in records if name in r.metrics])
        ) is not None:
            values[name] = Value(_in_range(value[0], own.unit), value[1], None, backend)
    if oracle is not None and _comparable(oracle, terms):
        regret = _regret(oracle, terms["kl"], terms["reward"])
        values["regret"] = Value(joint.contrast([regret]).interval, len(records), len(scores.prompts))
    return values


def _in_range(interval: Interval, unit: str) -> Interval:
    """The interval, clipped to valid shares or probabilities."""
    if interval.low is None or interval.high is None or not unit.startswith(_BOUNDED):
        return interval
    return interval.model_copy(update={"low": max(interval.low, 0.0), "high": min(interval.high, 1.0)})


def _terms(series: Series, row: Row, scores: PanelScores, joint: Joint) -> dict[str, Term]:
    """Every metric of a row, (S, P) each, as resampled; all at once, which takes a fraction of the time."""
    metrics = scores.metrics(row)
    if not metrics:
        return {}
    tables = [scores.array(row, metric) for metric in metrics]
    means = joint.means(np.concatenate(tables).T)
    seeds = len(tables[0])
    return {
        metric: Term(
            series.label,
            1.0,
            means[:, i * seeds : (i + 1) * seeds],
            np.asarray(np.isfinite(table).any(axis=0)),
        )
        for i, (metric, table) in enumerate(zip(metrics, tables, strict=True))
    }


def _over_seeds(intervals: Sequence[Interval]) -> tuple[Interval, int] | None:
    """The mean over seeds of a measure without a value per prompt; one seed keeps its own interval."""
    points = [one.point for one in intervals if one.point is not None]
    if not points:
        return None
    if len(points) == 1:
        return next(one for one in intervals if one.point is not None), 1
    return mean_of_checkpoints(intervals), len(points)


def _comparable(oracle: _Yardstick, terms: Mapping[str, Term]) -> bool:
    """Whether regret is defined: the oracle is reliable up to the KL."""
    return {"reward", "kl"} <= set(terms) and float(terms["kl"].seeds.mean()) <= oracle.end


def _regret(oracle: _Yardstick, kl: Term, reward: Term) -> Term:
    """The oracle's reward at each seed's KL less the seed's own."""
    best = [reward_on(oracle.kl, oracle.reward, of) for of in kl.values.T]
    return Term(kl.label, 1.0, np.stack(best, axis=1) - reward.values, reward.scored)
