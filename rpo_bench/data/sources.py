"""Reads records from a file, a folder or the hub: one dictionary per line, item or row."""

import csv
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rpo_bench.data.excerpt import excerpt
from rpo_bench.data.json_text import NotJSONError, parse_items, parse_json
from rpo_bench.errors import UserError
from rpo_bench.files.text_files import MAX_LINE, Line, first_character, numbered_lines, whole_text

HUB = "hf:"
_CARRIAGE_RETURNS = "a lone carriage return, which doesn't end a line: save the file with line feeds"


@dataclass(frozen=True)
class Record:
    """One record of a source, or the reason why it can't be read.

    Attributes:
        number: 1, 2, …: its first line, or its position in files without lines.
        unit: the unit of the number: "line", "item" or "row".
        value: column → value; empty if there is a problem.
        problem: why the record can't be read; None if it can.
        split: its split of the dataset.
        textual: whether all values are text, including numbers (CSV, TSV).
    """

    number: int
    unit: str
    value: dict[str, Any]
    problem: str | None = None
    split: str | None = None
    textual: bool = False

    @property
    def where(self) -> str:
        """Its place: "line 12", or "row 12 of split 'test'"."""
        return f"{self.unit} {self.number}" + (f" of split '{self.split}'" if self.split else "")


def read_records(source: str | Path, split: str | None = None) -> Iterator[Record]:
    """The records of a source in order, without interpretation.

    Args:
        source: A JSONL, JSON, CSV, TSV or Parquet file (text may be gzipped), the folder of a saved Hugging
            Face dataset, or ``hf:NAME`` / ``hf:NAME:CONFIG`` for one on the hub.
        split: Split of a Hugging Face dataset; other sources ignore it.

    Raises:
        UserError: the source doesn't exist, can't be opened, or has an unknown format.
    """
    if str(source).startswith(HUB):
        from rpo_bench.data.hub_datasets import hub_records

        return hub_records(str(source), split)
    path = Path(source)
    if _is_folder(path):
        from rpo_bench.data.hub_datasets import saved_records

        return saved_records(path, split)
    return _reader(path)(path)


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{path}: there is no such file.") from None
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror or error}.") from None
    except ValueError as error:  # NUL, or half a surrogate pair, in the name
        raise UserError(f"{str(path)!r} can't be the name of a file: {error}.") from None


def _reader(path: Path) -> Callable[[Path], Iterator[Record]]:
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    readers: dict[str, Callable[[Path], Iterator[Record]]] = {
        ".jsonl": _jsonl,
        ".ndjson": _jsonl,
        ".json": _json,
        ".csv": lambda p: _delimited(p, ","),
        ".tsv": lambda p: _delimited(p, "\t"),
        ".parquet": _parquet,
    }
    if suffix not in readers:
        known = ", ".join(readers)
        raise UserError(
            f"{path}: the suffix '{suffix}' isn't one of {known} (text files may end in .gz too)."
        )
    return readers[suffix]


def _jsonl(path: Path) -> Iterator[Record]:
    for line in numbered_lines(path):
        if line.problem or line.text.strip():
            yield _json_record(line)


def _json_record(line: Line) -> Record:
    if line.problem:
        return Record(line.number, "line", {}, line.problem)
    try:
        return _record(line.number, "line", parse_json(line.text.rstrip("\r\n")))
    except NotJSONError as error:
        hint = "; a carriage return doesn't end a line" if "\r" in line.text.rstrip("\r\n") else ""
        return Record(line.number, "line", {}, f"{error}{hint}")


def _json(path: Path) -> Iterator[Record]:
    """A list of objects, or one object per line, as in many .json files."""
    if first_character(path) != "[":
        yield from _jsonl(path)
        return
    try:
        for number, item in enumerate(parse_items(whole_text(path)), start=1):
            yield _record(number, "item", item)
    except NotJSONError as error:
        raise UserError(f"{path} line {error.line}: {error}.") from None


def _record(number: int, unit: str, value: Any) -> Record:
    if isinstance(value, dict):
        return Record(number, unit, value)
    if isinstance(value, NotJSONError):
        return Record(number, unit, {}, str(value))
    kind = {list: "a list", str: "a text", type(None): "null"}.get(type(value), "a number")
    return Record(number, unit, {}, f"{kind}, but must be an object {{…}}")


def _delimited(path: Path, delimiter: str) -> Iterator[Record]:
    """Rows under a header; a quoted field may span lines, and the row's number is its first line."""
    previous_limit = csv.field_size_limit(MAX_LINE)  # whole dialogues exceed the default of 131,072
    try:
        yield from _delimited_rows(path, delimiter)
    finally:
        csv.field_size_limit(previous_limit)


def _delimited_rows(path: Path, delimiter: str) -> Iterator[Record]:
    reader = csv.reader(_strict_lines(path), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    while True:
        start = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            reason = _CARRIAGE_RETURNS if "new-line character" in str(error) else excerpt(error)
            raise UserError(f"{path} line {start}: not {delimiter!r}-separated text ({reason}).") from None
        if header is None:
            header = _header(path, fields)
        elif fields and len(fields) != len(header):
            problem = f"it has {len(fields)} fields, and the header has {len(header)}"
            yield Record(start, "line", {}, problem, textual=True)
        elif fields:
            yield Record(start, "line", dict(zip(header, fields, strict=True)), textual=True)


def _strict_lines(path: Path) -> Iterator[str]:
    """Lines for the csv module; raises at an invalid one, as later rows would be shifted."""
    for line in numbered_lines(path):
        if line.problem:
            raise UserError(f"{path} line {line.number}: {line.problem}.")
        yield line.text


def _header(path: Path, fields: list[str]) -> list[str]:
    names = [field.strip() for field in fields]
    double = sorted(name for name, count in Counter(names).items() if count > 1)
    if double:
        raise UserError(f"{path} line 1: the header has the column '{excerpt(double[0])}' twice.")
    return names


def _parquet(path: Path) -> Iterator[Record]:
    from rpo_bench.data.parquet import parquet_rows

    for number, found in enumerate(parquet_rows(path), start=1):
        if isinstance(found, str):
            yield Record(number, "row", {}, found)
        else:
            yield Record(number, "row", found)
