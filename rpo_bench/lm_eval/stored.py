"""Reads and stores lm-eval's results of a checkpoint, beside its other results."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rpo_bench.errors import UserError
from rpo_bench.files.atomic import atomic_file
from rpo_bench.files.hashing import hash_json
from rpo_bench.files.json_lines import read_json_lines, write_json_lines
from rpo_bench.files.reading import LARGE, read_json
from rpo_bench.lm_eval.schema import (
    DOCS_FILE,
    EXTRA,
    FLAG,
    PARTS,
    RESULTS_FILE,
    SCORE,
    TAX,
    DocScore,
    LmEvalRequest,
    Measured,
)
from rpo_bench.lm_eval.values import alignment_tax, harness_metrics
from rpo_bench.results.command_line import with_flags
from rpo_bench.results.schema import Record
from rpo_bench.results.store import StoredRecord, write_record
from rpo_bench.results.updating import updating


def read_docs(folder: Path) -> list[DocScore]:
    """The stored documents' scores; empty if lm-eval wasn't run."""
    file = folder / DOCS_FILE
    return read_json_lines(file, DocScore) if os.path.lexists(file) else []


def read_parts(folder: Path) -> dict[str, dict[str, Any]]:
    """The stored parts of lm-eval's results; empty if it wasn't run; raises UserError for a damaged file."""
    file = folder / RESULTS_FILE
    if not os.path.lexists(file):
        return {part: {} for part in PARTS}
    found = read_json(file, LARGE)
    parts = {part: found.get(part, {}) for part in PARTS} if isinstance(found, dict) else {}
    if not parts or not all(isinstance(part, dict) for part in parts.values()):
        raise UserError(f"{file} doesn't contain lm-eval's results: measure the checkpoint again.")
    return parts


def missing(record: Record, tasks: Sequence[str], request: LmEvalRequest) -> list[str]:
    """The requested tasks that a record has no results of with these settings."""
    known = _known_tasks(record)
    return [task for task in tasks if known.get(task, {}).get("settings") != request.settings]


def add_measured(
    stored: StoredRecord, measured: Measured, request: LmEvalRequest, before: Sequence[DocScore] | None
) -> Record:
    """Writes lm-eval's results into a stored result; the record is written last.

    Args:
        stored: The result.
        measured: lm-eval's results of its checkpoint.
        request: The requested tasks and settings.
        before: The base model's documents; None for the base model itself.
    """
    with updating(stored) as record:
        return _add(record, stored.folder, measured, request, before)


def _add(
    record: Record,
    folder: Path,
    measured: Measured,
    request: LmEvalRequest,
    before: Sequence[DocScore] | None,
) -> Record:
    new = set(measured.tasks)
    docs = [doc for doc in read_docs(folder) if doc.task not in new] + list(measured.docs)
    kept = read_parts(folder)
    parts = {part: dict(sorted({**kept[part], **measured.parts[part]}.items())) for part in PARTS}
    write_json_lines(folder / DOCS_FILE, docs)
    with atomic_file(folder / RESULTS_FILE) as file:
        file.write_text(json.dumps(parts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    values = harness_metrics(measured, record.cell)
    if before is not None:
        values |= alignment_tax(before, measured.docs, values, record.cell)
    old = {name: value for name, value in record.metrics.items() if not _of(name, new)}
    entries = {**_known_tasks(record), **_entries(measured, request)}
    changed = record.model_copy(
        update={
            "metrics": dict(sorted({**old, **values}.items())),
            "extra": {**record.extra, EXTRA: entries},
            "command": _command(record.command, sorted(entries), request),
        }
    )
    write_record(folder, changed)
    return changed


def _command(command: str, tasks: Sequence[str], request: LmEvalRequest) -> str:
    """The command that reproduces a row, with these tasks."""
    flags = {
        FLAG: ",".join(tasks),
        "--lm-eval-limit": request.limit,
        "--lm-eval-fewshot": request.num_fewshot,
    }
    return with_flags(command, flags)


def _of(name: str, tasks: set[str]) -> bool:
    """Whether a metric belongs to one of the tasks."""
    own = next((name.removeprefix(head) for head in (SCORE, TAX) if name.startswith(head)), None)
    return own is not None and own.partition("/")[0] in tasks


def _known_tasks(record: Record) -> dict[str, dict[str, Any]]:
    """The tasks in a record; malformed entries are ignored."""
    known = record.extra.get(EXTRA)
    if not isinstance(known, dict):
        return {}
    return {name: task for name, task in known.items() if isinstance(task, dict)}


def _entries(measured: Measured, request: LmEvalRequest) -> dict[str, Any]:
    return {
        task: {
            "settings": request.settings,
            "version": measured.parts["versions"][task],
            "documents": hash_json(sorted({doc.document for doc in measured.docs if doc.task == task}))[:16],
        }
        for task in measured.tasks
    }
