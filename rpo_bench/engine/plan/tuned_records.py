"""Adds the tuning to records of checkpoints that were trained before it."""

from collections.abc import Iterable
from typing import Any

from rpo_bench.engine.output import Output
from rpo_bench.engine.plan.cells import PlannedCell
from rpo_bench.results.store import BrokenRecord, cell_folder, read_record, write_record
from rpo_bench.spec.schema import CellSpec, RunSpec, tuned_key


def tuned_extra(spec: RunSpec, cell: CellSpec) -> dict[str, Any] | None:
    """The record's entry on the tuning of its learning rate; None if the rate wasn't the tuned one."""
    key, tuned = tuned_key(cell.method.label, cell.model), spec.tuned
    if tuned is None or key not in tuned.rates or tuned.rates[key] != cell.training.learning_rate:
        return None
    return {
        "file": tuned.file,
        "configurations": tuned.configurations[key],
        "best_of": list(tuned.best_of.get(key, ())),
        "cap": tuned.cap,
    }


def mark_tuned(spec: RunSpec, cells: Iterable[PlannedCell], output: Output) -> None:
    """Adds the tuning to records without it or with another one; broken records stay unchanged."""
    for cell in cells:
        extra = tuned_extra(spec, cell.spec)
        folder = cell_folder(output.results, cell.spec)
        if extra is None or not folder.is_dir():
            continue
        try:
            record = read_record(folder)
        except BrokenRecord:
            continue
        if record.extra.get("tuned") != extra:
            write_record(folder, record.model_copy(update={"extra": {**record.extra, "tuned": extra}}))
