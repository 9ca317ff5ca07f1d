"""How steadily a run was optimised, from its training log.

After Chan et al., "Measuring the Reliability of Reinforcement Learning Algorithms" (arXiv 1912.05663):
dispersion within a run after detrending, risk of a sudden change, drawdown. Log-ratios are in nats and can be
compared between methods; a loss is in its own objective's units and can't.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from rpo_bench.stats.arrays import Floats

#: Steps over which the running median is taken (centred for trends, trailing for spikes).
WINDOW = 25

#: A gradient norm above so many running medians is a spike.
SPIKE = 5.0

#: The share of worst step-to-step changes whose mean is reported.
TAIL = 0.05


def stability(log: Sequence[Mapping[str, Any]], diverged: bool | None = None) -> dict[str, float | None]:
    """Measures of one run; lower is steadier, None where the log lacks what a measure needs.

    - ``diverged``: 1 if a loss or gradient norm wasn't finite, else 0.
    - ``loss_dispersion``, ``log_ratio_dispersion``: interquartile range about the centred running median.
    - ``loss_worst_rise``: mean of the 5 % largest rises from one step to the next.
    - ``log_ratio_worst_jump``: mean of the 5 % largest changes, up or down, of the batch's mean log-ratio.
    - ``probe_worst_drop``: mean of the 5 % largest drops of the probe prompts' reward between probes.
    - ``probe_max_drawdown``: its largest fall from an earlier peak.
    - ``grad_spike_share``: share of steps whose gradient norm (before clipping) is over five times the median
      of the steps before it.
    - ``grad_peak``: the largest such ratio.
    - ``clipped_share``: share of steps whose gradient was clipped.
    - ``ratio_clipped_share``: share of an online method's gradients that its trust region held back.

    Args:
        log: Entries with ``step`` and any of loss, log_ratio (or kl), grad_norm, clipped, clip_fraction,
            probe_reward; null means a number that wasn't finite.
        diverged: What is known from elsewhere; None: judge by the log.
    """
    entries = sorted(log, key=lambda entry: entry.get("step", 0))
    loss, norm, probe = (_column(entries, name) for name in ("loss", "grad_norm", "probe_reward"))
    log_ratio = _column(entries, "log_ratio")
    if not log_ratio.size:
        log_ratio = _column(entries, "kl")
    ratios, clipped = _to_running_median(norm), _column(entries, "clipped")
    ratio_clipped = _column(entries, "clip_fraction")
    return {
        "diverged": _flag(_non_finite(entries) if diverged is None else diverged),
        "loss_dispersion": dispersion(loss),
        "loss_worst_rise": worst_change(loss),
        "log_ratio_dispersion": dispersion(log_ratio),
        "log_ratio_worst_jump": worst_change(log_ratio, either_way=True),
        "probe_worst_drop": worst_change(-probe),
        "probe_max_drawdown": max_drawdown(probe),
        "grad_spike_share": float((ratios > SPIKE).mean()) if ratios.size else None,
        "grad_peak": float(ratios.max()) if ratios.size else None,
        "clipped_share": float(clipped[-1]) if clipped.size else None,
        "ratio_clipped_share": float(ratio_clipped.mean()) if ratio_clipped.size else None,
    }


def mean_stability(runs: Iterable[Mapping[str, float | None]]) -> dict[str, float]:
    """Each measure's mean over the runs that have it, by name."""
    found: dict[str, list[float]] = {}
    for run in runs:
        for name, value in run.items():
            if value is not None:
                found.setdefault(name, []).append(value)
    return {name: float(np.mean(values)) for name, values in sorted(found.items())}


def dispersion(values: Floats) -> float | None:
    """Interquartile range of (S,) values about their running median over 25 steps; None for under four."""
    if len(values) < 4:
        return None
    half = WINDOW // 2
    trend = [np.median(values[max(0, i - half) : i + half + 1]) for i in range(len(values))]
    low, high = np.quantile(values - np.array(trend), (0.25, 0.75))
    return float(high - low)


def worst_change(values: Floats, either_way: bool = False) -> float | None:
    """Mean of the largest 5 % (at least one) of the rises between neighbours of (S,); 0 if none rises.

    It is the conditional value at risk of the step differences; ``either_way`` takes their absolute values.
    None for fewer than two values.
    """
    if len(values) < 2:
        return None
    changes = np.diff(values)
    rises = np.sort(np.abs(changes) if either_way else changes)[::-1]
    worst = rises[: max(1, math.ceil(TAIL * len(rises)))]
    return max(0.0, float(worst.mean()))


def max_drawdown(values: Floats) -> float | None:
    """The largest fall of (S,) from the highest value before it; None for fewer than two values."""
    if len(values) < 2:
        return None
    return float((np.maximum.accumulate(values) - values).max())


def _to_running_median(norms: Floats) -> Floats:
    """Each norm over the median of the (up to 25) before it, from the fifth step on."""
    first = 4
    ratios = []
    for i in range(first, len(norms)):
        median = float(np.median(norms[max(0, i - WINDOW) : i]))
        if median > 0:
            ratios.append(norms[i] / median)
    return np.array(ratios)


def _column(entries: Sequence[Mapping[str, Any]], name: str) -> Floats:
    """The finite numbers of a column, in order; (S,)."""
    found = [entry.get(name) for entry in entries]
    return np.array([float(x) for x in found if isinstance(x, int | float) and math.isfinite(x)])


def _non_finite(entries: Sequence[Mapping[str, Any]]) -> bool | None:
    """Whether a loss or gradient norm is null or not finite; None where the log has neither."""
    found = [entry[name] for entry in entries for name in ("loss", "grad_norm") if name in entry]
    return any(x is None or not math.isfinite(x) for x in found) if found else None


def _flag(value: bool | None) -> float | None:
    return None if value is None else float(value)
