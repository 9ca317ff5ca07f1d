"""How steadily the methods train: measures of their logs, averaged over runs."""

from collections.abc import Mapping
from dataclasses import dataclass

from rpo_bench.analysis.board import Section
from rpo_bench.stats.training_stability import mean_stability

#: Measure → what it is; see :mod:`rpo_bench.stats.training_stability`.
MEASURES = {
    "clipped_share": "Share of steps whose gradient was clipped.",
    "grad_peak": "The largest gradient norm, before clipping, over the median of the steps before it.",
    "grad_spike_share": "Share of steps whose gradient norm is over five times the median of those before.",
    "log_ratio_dispersion": "Interquartile range of the mean log-ratio about its running median, nats.",
    "log_ratio_worst_jump": "Mean of the 5 % largest changes of that log-ratio from step to step, nats.",
    "loss_dispersion": "Interquartile range of the loss about its running median, in its own units.",
    "loss_worst_rise": "Mean of the 5 % largest rises of the loss from step to step, in the same units.",
    "probe_max_drawdown": "The largest fall of the probe prompts' reward from an earlier peak.",
    "probe_worst_drop": "Mean of the 5 % largest falls of that reward from one probe to the next.",
}


@dataclass(frozen=True)
class MethodStability:
    """A method's runs: how many, how many diverged, and the mean of every measure."""

    label: str
    runs: int
    diverged: int
    measures: Mapping[str, float]


@dataclass(frozen=True)
class Stability:
    """A section's methods; ``names`` are the measures that any of them has."""

    names: tuple[str, ...]
    rows: tuple[MethodStability, ...]


def stability(section: Section) -> Stability:
    """Averages the stability measures of every method over its strengths and seeds."""
    rows = []
    for series in section.panel.trained:
        records = [stored.record for row in series.rows for stored in row.stored]
        diverged = sum(record.status == "diverged" for record in records)
        means = mean_stability(record.stability for record in records)
        rows.append(MethodStability(series.label, len(records), diverged, means))
    names = {name for row in rows for name in row.measures} - {"diverged"}  # counted beside the runs
    return Stability(tuple(sorted(names)), tuple(rows))
