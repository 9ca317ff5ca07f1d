"""Measured checkpoints in a CSV file, one line each, so that work may be spread over days and machines."""

import csv
from collections.abc import Callable, Iterable
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from rpo_bench.results.schema import Record

    Line = TypeVar("Line", bound=DataclassInstance)
else:
    Line = TypeVar("Line")


def read_lines(file: Path, kind: type[Line]) -> list[Line]:
    """The lines of a file as dataclasses whose fields have plain types; none where there is no file."""
    if not file.is_file():
        return []
    kinds: dict[str, Any] = {field.name: field.type for field in fields(kind)}
    with file.open(encoding="utf-8", newline="") as stream:
        return [
            kind(**{name: kinds[name](text) for name, text in row.items()}) for row in csv.DictReader(stream)
        ]


def add_lines(
    file: Path, kind: type[Line], more: Iterable[Line], key: Callable[[Line], tuple[Any, ...]]
) -> list[Line]:
    """Writes the file with further lines in it, in the order of their keys; returns all.

    Args:
        file: what ``read_lines`` reads.
        kind: of the lines.
        more: lines that replace those of the same key.
        key: what makes a line another one.
    """
    known = {key(line): line for line in read_lines(file, kind)}
    known |= {key(line): line for line in more}
    lines = [known[one] for one in sorted(known)]
    temporary = file.with_suffix(".tmp")
    with temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, [field.name for field in fields(kind)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(line) for line in lines)
    temporary.replace(file)
    return lines


def estimate(record: "Record", metric: str) -> float:
    """A metric of a checkpoint; NaN where it diverged or nothing could be scored."""
    value = None if record.status == "diverged" else record.point(metric)
    return float("nan") if value is None else value
