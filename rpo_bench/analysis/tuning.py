"""What records say of the tuning of a method's learning rate; nothing of it is trusted to be well formed."""

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
        best_of: the expected best area under the frontier of k learning rates, k = 1 …; empty if not told.
        cap: nats up to which the area is taken; None if not told.
    """

    configurations: int
    best_of: tuple[float, ...] = ()
    cap: float | None = None


def tuned_series(series: Series) -> TunedSeries | None:
    """What all records of a method say alike; None where one says nothing, or something else."""
    told = [_read(stored.record) for row in series.rows for stored in row.stored]
    return told[0] if told and all(one == told[0] for one in told) else None


def _read(record: Record) -> TunedSeries | None:
    told = record.extra.get("tuned")
    if not isinstance(told, dict) or type(count := told.get("configurations")) is not int or count < 1:
        return None
    best, cap = told.get("best_of"), _number(told.get("cap"))
    areas = [_number(area) for area in best] if isinstance(best, list) else []
    if cap is None or cap <= 0 or not 0 < len(areas) <= _MOST or None in areas:
        return TunedSeries(count)
    return TunedSeries(count, tuple(area for area in areas if area is not None), cap)


def _number(value: Any) -> float | None:
    """A finite number, or None for whatever else is stored."""
    return float(value) if type(value) in (int, float) and math.isfinite(value) else None
