"""Gzipped JSON lines whose bytes depend only on their content."""

import gzip
import json
import math
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import from_json

from rpo_bench.files.atomic import atomic_file
from rpo_bench.files.reading import Unreadable, parse_json, read_lines, suspicious
from rpo_bench.files.validation import first_problem

M = TypeVar("M", bound=BaseModel)

_LEVEL = 6


def write_json_lines(file: Path, lines: Iterable[BaseModel | dict[str, Any]]) -> None:
    """Writes one JSON object per line, gzipped when the name ends in ``.gz``; atomically.

    No time stamp and no file name go into the gzip header, so that equal content is equal bytes.
    Non-finite numbers are written as null.
    """
    with atomic_file(file) as temporary, temporary.open("wb") as raw:
        if file.suffix == ".gz":
            with gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=raw, mtime=0) as packed:
                packed.writelines(_encoded(line) for line in lines)
        else:
            raw.writelines(_encoded(line) for line in lines)


def _encoded(line: BaseModel | dict[str, Any]) -> bytes:
    if isinstance(line, BaseModel):
        return line.model_dump_json().encode() + b"\n"
    return json.dumps(_without_non_finite(line), ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _without_non_finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _without_non_finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_non_finite(item) for item in value]
    return value


def _as_list(lines: list[tuple[int, bytes]]) -> bytes:
    """All lines as one JSON array, which parses much faster."""
    return b"[" + b",".join(line for _, line in lines) + b"]"


@cache
def _list_of(model: type[M]) -> TypeAdapter[list[M]]:
    return TypeAdapter(list[model])  # type: ignore[valid-type]


def read_json_lines(file: Path, model: type[M]) -> list[M]:
    """Every line as ``model``; raises UserError with file, line and field of an invalid one."""
    lines = read_lines(file)
    whole = _as_list(lines)
    if suspicious(whole):
        for number, line in lines:
            if suspicious(line):
                _value(file, number, line)
    try:
        found = _list_of(model).validate_json(whole)
    except ValidationError:
        found = []
    return found if len(found) == len(lines) else _line_by_line(file, lines, model)


def _line_by_line(file: Path, lines: list[tuple[int, bytes]], model: type[M]) -> list[M]:
    found = []
    for number, line in lines:
        try:
            found.append(model.model_validate_json(line))
        except ValidationError as error:
            raise Unreadable(f"{file}, line {number}: {first_problem(error)}.") from error
    return found


def read_objects(file: Path) -> list[dict[str, Any]]:
    """Every line as a JSON object; raises UserError with file and line of an invalid one."""
    lines = read_lines(file)
    found: list[Any]
    try:
        found = [] if suspicious(whole := _as_list(lines)) else from_json(whole, allow_inf_nan=False)
    except ValueError:  # the line-by-line parser reports the error
        found = []
    if len(found) != len(lines):
        found = [_value(file, number, line) for number, line in lines]
    for (number, _), value in zip(lines, found, strict=True):
        if not isinstance(value, dict):
            raise Unreadable(f"{file}, line {number} is not a JSON object.")
    return found


def _value(file: Path, number: int, line: bytes) -> Any:
    try:
        return parse_json(line)
    except ValueError as error:
        raise Unreadable(f"{file}, line {number} is not JSON: {error}.") from error
