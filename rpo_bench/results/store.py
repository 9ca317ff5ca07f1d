"""Result folders: written atomically, validated when read, with every unusable folder reported."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from rpo_bench.errors import UserError
from rpo_bench.files.atomic import atomic_file
from rpo_bench.files.hashing import short_name
from rpo_bench.files.json_lines import read_json_lines, read_objects
from rpo_bench.files.reading import Missing, read_json
from rpo_bench.results.command_line import whole
from rpo_bench.results.samples import ScoreLine, StoredSample
from rpo_bench.results.schema import SCHEMA_VERSION, Record
from rpo_bench.results.upgrade import TooOld, holds_its_hash, upgraded
from rpo_bench.spec.schema import CellSpec

RECORD_FILE = "result.json"
SAMPLES_FILE = "samples.jsonl.gz"
SCORES_FILE = "scores.jsonl.gz"
TRAIN_LOG_FILE = "train_log.jsonl.gz"
SPEC_FILE = "spec.yaml"


#: Contributed results are below it, by contributor: ``community/<who>/<task>/…``.
COMMUNITY = "community"

#: Kinds of unusable result folders.
Kind = Literal["damaged", "unfinished", "foreign", "newer", "too old"]


class BrokenRecord(Exception):  # noqa: N818 (it names what was found)
    """A result folder that can't be used; its text is the reason."""

    def __init__(self, reason: str, kind: Kind = "damaged") -> None:
        super().__init__(reason)
        self.kind: Kind = kind


@dataclass(frozen=True)
class StoredRecord:
    """A record with the folder of its samples, scores and training log.

    Attributes:
        contributor: Who contributed it; None for the project's own results.
    """

    folder: Path
    record: Record
    contributor: str | None = None


@dataclass(frozen=True)
class Broken:
    """A folder without a usable record, and the reason."""

    folder: Path
    reason: str
    kind: Kind = "damaged"


@dataclass(frozen=True)
class Duplicate:
    """A second record of a cell; the other one is used.

    Attributes:
        differs: Whether the two have different metrics.
    """

    folder: Path
    kept: Path
    differs: bool


@dataclass(frozen=True)
class Results:
    """The results under some folders; each part is ordered by path.

    Attributes:
        older: Folders of records of an earlier version, upgraded to this one.
    """

    records: tuple[StoredRecord, ...]
    broken: tuple[Broken, ...] = ()
    duplicates: tuple[Duplicate, ...] = ()
    older: tuple[Path, ...] = ()


def record_folder(results: Path, record: Record) -> Path:
    """The folder of a record: ``<results>/<task>/<model>/<cell name>``."""
    return cell_folder(results, record.spec)


def cell_folder(results: Path, spec: CellSpec) -> Path:
    """The folder of a cell's record, whether or not it exists."""
    return results / _component(spec.task) / _component(spec.model) / short_name(spec.name)


def _component(name: str) -> str:
    """A name as a single folder name, since a task or model may be given as a path."""
    return short_name("".join(c if c.isalnum() or c in "._=-" else "_" for c in name).lstrip(".") or "_")


def write_record(folder: Path, record: Record, indent: int | None = 2) -> Path:
    """Writes ``result.json`` as the last file of a result folder; a folder without it is unfinished."""
    file = folder / RECORD_FILE
    try:
        text = record.model_dump_json(indent=indent)
    except PydanticSerializationError as error:
        raise UserError(f"{file} can't be written: the record has text that isn't Unicode.") from error
    with atomic_file(file) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    return file


def read_record(folder: Path) -> Record:
    """The validated record of a folder; raises BrokenRecord with the reason."""
    return _read(folder)[0]


def _read(folder: Path) -> tuple[Record, bool]:
    """A folder's record, and whether an earlier version wrote it."""
    if folder.name.startswith("."):
        raise BrokenRecord("unfinished: its run is still in progress or was stopped", "unfinished")
    if linked := _links(folder):
        raise BrokenRecord(f"{linked[0]} is a link: a result folder must contain its own files")
    try:
        value = read_json(folder / RECORD_FILE)
    except Missing:
        raise BrokenRecord(f"unfinished: it has no {RECORD_FILE}", "unfinished") from None
    except UserError as error:
        raise BrokenRecord(str(error).replace(f"{folder}/", "").rstrip(".")) from error
    _check_version(value)
    try:
        record = whole(Record.model_validate_json(json.dumps(upgraded(value))))
    except ValidationError as error:
        raise BrokenRecord(_first_error(error)) from error
    except TooOld as error:
        raise BrokenRecord(str(error), "too old") from error
    own = record.spec.hash
    if record.cell != own and not holds_its_hash(value):
        raise BrokenRecord("field 'cell' is not the hash of 'spec': one of them was changed")
    older = value["schema_version"] < SCHEMA_VERSION or record.cell != own
    return (record.model_copy(update={"cell": own}) if record.cell != own else record), older


def _links(folder: Path) -> list[str]:
    """Links in a folder: a contributed one could link to private files, which the page would show."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_symlink())
    except OSError:
        return []


def _check_version(value: Any) -> None:
    version = value.get("schema_version") if isinstance(value, dict) else None
    if not isinstance(version, int) or isinstance(version, bool):
        raise BrokenRecord(f"{RECORD_FILE} is not an RPO-Bench record: it has no 'schema_version'", "foreign")
    if version > SCHEMA_VERSION:
        raise BrokenRecord(
            f"written by a newer RPO-Bench (schema version {version}, this one reads up to {SCHEMA_VERSION})",
            "newer",
        )


def _first_error(error: ValidationError) -> str:
    errors = error.errors()
    where = ".".join(str(part) for part in errors[0]["loc"])
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"field '{where}': {errors[0]['msg']}{more}"


def read_results(roots: Path | Sequence[Path]) -> Results:
    """All the records under some folders.

    Of several records of a cell the first one counts, ordered by root and path, with the project's own
    before contributed ones.

    Args:
        roots: Result folders; for an output folder of ``train-and-eval`` its ``results``.

    Raises:
        UserError: When a root isn't a folder.
    """
    kept: dict[str, StoredRecord] = {}
    broken: list[Broken] = []
    duplicates: list[Duplicate] = []
    older: list[Path] = []
    for folder, contributor in _by_owner([roots] if isinstance(roots, Path) else roots):
        try:
            record, aged = _read(folder)
        except BrokenRecord as error:
            broken.append(Broken(folder, str(error), error.kind))
            continue
        older += [folder] if aged else []
        found = StoredRecord(folder, record, contributor)
        first = kept.setdefault(found.record.cell, found)
        if first is not found:
            differs = first.record.metrics != found.record.metrics
            duplicates.append(Duplicate(folder, first.folder, differs))
    records = sorted(kept.values(), key=lambda stored: str(stored.folder))
    return Results(tuple(records), tuple(broken), tuple(duplicates), tuple(older))


def _by_owner(roots: Sequence[Path]) -> list[tuple[Path, str | None]]:
    """Every folder with its contributor; the project's own come first and take precedence."""
    found = [(folder, _contributor(folder, root)) for folder, root in _result_folders(roots)]
    return sorted(found, key=lambda one: one[1] is not None)


def _contributor(folder: Path, root: Path) -> str | None:
    """The contributor of a folder of results, from its path below the root."""
    parts = folder.relative_to(root).parts
    if COMMUNITY not in parts[:2]:  # in a folder of results, or in the output that holds one
        return None
    place = parts.index(COMMUNITY)
    return parts[place + 1] if len(parts) > place + 2 else None


def _result_folders(roots: Sequence[Path]) -> Iterator[tuple[Path, Path]]:
    """Every folder with a result or part of one, once and in order, with its root."""
    seen: set[Path] = set()
    for root in roots:
        if not root.is_dir():
            raise UserError(f"{root}: there is no such folder; give the results or the output of a run.")
        for path, folders, files in os.walk(root):
            folder = Path(path)
            if "results" in folders and (folder == root or SPEC_FILE in files):
                folders[:] = ["results"]  # a run's output: skip its work folder
            folders.sort()
            if {RECORD_FILE, SAMPLES_FILE, SCORES_FILE}.isdisjoint([*files, *folders]):
                continue
            folders.clear()  # results aren't nested
            if (resolved := folder.resolve()) not in seen:
                seen.add(resolved)
                yield folder, root


def read_samples(folder: Path) -> list[StoredSample]:
    """The stored samples of a result; raises UserError with the file and line of an error."""
    return read_json_lines(folder / SAMPLES_FILE, StoredSample)


def read_scores(folder: Path) -> list[ScoreLine]:
    """The stored scores of a result; raises UserError with the file and line of an error."""
    return read_json_lines(folder / SCORES_FILE, ScoreLine)


def read_train_log(folder: Path) -> list[dict[str, Any]]:
    """The training log, one object per optimiser step; empty for a policy that wasn't trained.

    Raises:
        UserError: With the file and line of an error.
    """
    file = folder / TRAIN_LOG_FILE
    return read_objects(file) if os.path.lexists(file) else []
