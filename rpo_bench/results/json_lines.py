"""Gzipped JSON lines whose bytes depend on their content alone."""

import gzip
import json
import math
import zlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import from_json

from rpo_bench.atomic import atomic_file
from rpo_bench.errors import UserError

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


def _raw_lines(file: Path) -> list[tuple[int, bytes]]:
    """The non-empty lines with their numbers; raises UserError when the file can't be read to its end."""
    try:
        data = file.read_bytes()
        text = gzip.decompress(data) if file.suffix == ".gz" else data
    except FileNotFoundError:
        raise UserError(f"{file}: there is no such file.") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{file} is damaged: {str(error).rstrip('.')}.") from error
    except OSError as error:
        raise UserError(f"{file} can't be read: {error.strerror or error}.") from error
    return [(number, line) for number, line in enumerate(text.split(b"\n"), start=1) if line.strip()]


def _as_list(lines: list[tuple[int, bytes]]) -> bytes:
    """All lines as one JSON array: read at once they take a fraction of the time."""
    return b"[" + b",".join(line for _, line in lines) + b"]"


@cache
def _list_of(model: type[M]) -> TypeAdapter[list[M]]:
    return TypeAdapter(list[model])  # type: ignore[valid-type]


def read_json_lines(file: Path, model: type[M]) -> list[M]:
    """Every line as ``model``; raises UserError that names file, line and field of what doesn't fit."""
    lines = _raw_lines(file)
    try:
        found = _list_of(model).validate_json(_as_list(lines))
    except ValidationError:
        found = []
    return found if len(found) == len(lines) else _line_by_line(file, lines, model)


def _line_by_line(file: Path, lines: list[tuple[int, bytes]], model: type[M]) -> list[M]:
    found = []
    for number, line in lines:
        try:
            found.append(model.model_validate_json(line))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the line"
            raise UserError(f"{file}, line {number}: {where}: {first['msg']}.") from error
    return found


def read_objects(file: Path) -> list[dict[str, Any]]:
    """Every line as a JSON object; raises UserError that names file and line of what isn't one."""
    lines = _raw_lines(file)
    found: list[Any]
    try:
        found = from_json(_as_list(lines), allow_inf_nan=False)
    except ValueError:  # what it is, or whether it is what Python alone takes, is told line by line
        found = []
    if len(found) != len(lines):
        found = [_value(file, number, line) for number, line in lines]
    for (number, _), value in zip(lines, found, strict=True):
        if not isinstance(value, dict):
            raise UserError(f"{file}, line {number} is not a JSON object.")
    return found


def _value(file: Path, number: int, line: bytes) -> Any:
    try:
        return json.loads(line, parse_constant=_refuse)
    except ValueError as error:
        raise UserError(f"{file}, line {number} is not JSON: {error}.") from error


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
