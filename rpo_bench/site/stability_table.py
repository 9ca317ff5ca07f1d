"""Training stability: measures of the training logs, averaged over runs."""

from collections.abc import Mapping
from dataclasses import dataclass

from rpo_bench.analysis.board import Section
from rpo_bench.stats.training_stability import mean_stability

#: Measure → description; see :mod:`rpo_bench.stats.training_stability`.
MEASURES = {
    "clipped_share": "Share of steps whose gradient was clipped.",
    "grad_peak": "Largest gradient norm before clipping, relative to the median of earlier steps.",
    "grad_spike_share": "Share of steps whose gradient norm exceeds five times the median of earlier steps.",
    "log_ratio_dispersion": "Interquartile range of the mean log-ratio about its running median, nats.",
    "log_ratio_worst_jump": "Mean of the 5 % largest step-to-step changes of that log-ratio, nats.",
    "loss_dispersion": "Interquartile range of the loss about its running median, in its own units.",
    "loss_worst_rise": "Mean of the 5 % largest step-to-step rises of the loss, in the same units.",
    "probe_max_drawdown": "Largest drop of the probe prompts' reward from an earlier peak.",
    "probe_worst_drop": "Mean of the 5 % largest drops of that reward between consecutive probes.",
    "ratio_clipped_share": "Share of an online method's gradients that its trust region held back.",
}


@dataclass(frozen=True)
class MethodStability:
    """A method's number of runs, number of diverged runs, and mean of every measure."""

    label: str
    runs: int
    diverged: int
    measures: Mapping[str, float]


@dataclass(frozen=True)
class Stability:
    """The methods of a section; ``names`` are the measures that any of them has."""

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
