"""Stored results as a pandas table."""

from typing import TYPE_CHECKING, Any

from rpo_bench.results.store import Results, StoredRecord

if TYPE_CHECKING:
    import pandas as pd

_ORDER = ["task", "model", "method", "strength", "learning_rate", "seed", "cell"]


def results_frame(results: Results) -> "pd.DataFrame":
    """One row per record; folders that can't be used are in ``attrs["broken"]``."""
    import pandas as pd

    frame = pd.DataFrame([_row(stored) for stored in results.records])
    frame = frame.sort_values(_ORDER, na_position="first").reset_index(drop=True)
    frame.attrs["broken"] = [(str(one.folder), one.reason) for one in results.broken]
    return frame


def _row(stored: StoredRecord) -> dict[str, Any]:
    record, spec = stored.record, stored.record.spec
    trained = spec.strength is not None
    row: dict[str, Any] = {
        "task": spec.task,
        "model": spec.model,
        "architecture": record.architecture,
        "method": spec.method.label,
        "strength_name": record.strength_name,
        "strength": spec.strength,
        "seed": spec.seed,
        "learning_rate": spec.training.learning_rate if trained else None,
        "status": record.status,
    }
    for name, value in record.metrics.items():
        row[name] = value.interval.point
        row[f"{name}_low"], row[f"{name}_high"] = value.interval.low, value.interval.high
    row |= {f"cost_{name}": value for name, value in record.cost.model_dump().items()}
    return row | {"cell": record.cell, "command": record.command, "folder": str(stored.folder)}
