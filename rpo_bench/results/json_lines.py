"""Gzipped JSON lines whose bytes depend on their content alone."""

import gzip
import json
import math
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

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


def _raw_lines(file: Path) -> Iterator[tuple[int, bytes]]:
    """The non-empty lines with their numbers; raises UserError when the file can't be read to its end."""
    try:
        with gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb") as lines:
            yield from ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
    except FileNotFoundError:
        raise UserError(f"{file}: there is no such file.") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{file} is damaged: {str(error).rstrip('.')}.") from error
    except OSError as error:
        raise UserError(f"{file} can't be read: {error.strerror or error}.") from error


def read_json_lines(file: Path, model: type[M]) -> list[M]:
    """Every line as ``model``; raises UserError that names file, line and field of what doesn't fit."""
    found = []
    for number, line in _raw_lines(file):
        try:
            found.append(model.model_validate_json(line))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the line"
            raise UserError(f"{file}, line {number}: {where}: {first['msg']}.") from error
    return found


def read_objects(file: Path) -> list[dict[str, Any]]:
    """Every line as a JSON object; raises UserError that names file and line of what isn't one."""
    found = []
    decoder = json.JSONDecoder(parse_constant=_refuse)
    for number, line in _raw_lines(file):
        try:
            value = decoder.decode(line.decode())
        except ValueError as error:
            raise UserError(f"{file}, line {number} is not JSON: {error}.") from error
        if not isinstance(value, dict):
            raise UserError(f"{file}, line {number} is not a JSON object.")
        found.append(value)
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
