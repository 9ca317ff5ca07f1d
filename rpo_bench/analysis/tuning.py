"""Reads how a method's learning rate was tuned from records, which may be malformed."""

import math
from dataclasses import dataclass
from typing import Any

from rpo_bench.analysis.panels import Series
from rpo_bench.results.schema import Record

_MOST = 64  # learning rates of one method


@dataclass(frozen=True)
class TunedSeries:
    """How a method's learning rate was tuned.

    Attributes:
        configurations: how many were tried.
        best_of: the expected best area under the frontier of k learning rates, k = 1 …; empty if unknown.
        cap: nats up to which the area is taken; None if unknown.
    """

    configurations: int
    best_of: tuple[float, ...] = ()
    cap: float | None = None


def tuned_series(series: Series) -> TunedSeries | None:
    """The tuning on which all records of a method agree; None if any lacks it or differs."""
    found = [_read(stored.record) for row in series.rows for stored in row.stored]
    return found[0] if found and all(one == found[0] for one in found) else None


def _read(record: Record) -> TunedSeries | None:
    tuned = record.extra.get("tuned")
    if not isinstance(tuned, dict) or type(count := tuned.get("configurations")) is not int or count < 1:
        return None
    best, cap = tuned.get("best_of"), _number(tuned.get("cap"))
    areas = [_number(area) for area in best] if isinstance(best, list) else []
    if cap is None or cap <= 0 or not 0 < len(areas) <= _MOST or None in areas:
        return TunedSeries(count)
    return TunedSeries(count, tuple(area for area in areas if area is not None), cap)


def _number(value: Any) -> float | None:
    """A finite number, or None for anything else."""
    return float(value) if type(value) in (int, float) and math.isfinite(value) else None
