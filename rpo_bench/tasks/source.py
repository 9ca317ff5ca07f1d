"""Reads a task's data from a public dataset: from local files, or from the hub."""

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from rpo_bench.data.conversation import alike
from rpo_bench.data.hub_datasets import hub_records, saved_records
from rpo_bench.data.row import Row
from rpo_bench.data.sources import HUB, Record, read_records
from rpo_bench.errors import UserError
from rpo_bench.files.hashing import hash_json
from rpo_bench.tasks.records import IncompleteError, RecordShape

log = logging.getLogger(__name__)

#: A folder of downloaded datasets: FOLDER/TASK/SPLIT.jsonl, or FOLDER/TASK written by save_to_disk.
VARIABLE = "RPO_BENCH_DATASETS"
_ENDINGS = (".jsonl", ".jsonl.gz", ".json", ".parquet", ".csv")
#: Files of single splits, "train=FILE,test=FILE", set by --data-files and inherited by workers.
FILES_VARIABLE = "RPO_BENCH_DATA_FILES"
_CHOICE = "held out"  # the choice of held-out prompts doesn't depend on a seed


@dataclass(frozen=True)
class SourceParts:
    """A dataset's rows, split."""

    train: tuple[Row, ...]
    heldout: tuple[Row, ...]
    probe: tuple[Row, ...]


class DatasetSource(RecordShape):
    """The dataset of a task's prompts and responses, and how to convert its records."""

    dataset: str = Field(description="name on the hub")
    config: str | None = None
    revision: str | None = Field(None, description="commit, tag or branch; None: the latest")
    train: str = Field("train", description="split to train on")
    heldout: str = Field("test", description="split to measure on; that of 'train', with 'heldout_prompts'")
    heldout_prompts: int | None = Field(
        None, ge=1, description="measure on so many prompts of the split alone, chosen by their hashes"
    )
    data_files: dict[str, str] = Field(
        default_factory=dict, description="split → file to read instead, relative to the task's folder"
    )
    probe_prompts: int = Field(
        32, ge=0, description="so many of the last training prompts are followed instead of trained on"
    )

    @property
    def measured_on(self) -> str:
        """A description of the held-out prompts."""
        some = "" if self.heldout_prompts is None else f"{self.heldout_prompts:,} of "
        return f"{some}split '{self.heldout}'"

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.train == self.heldout and self.heldout_prompts is None:
            raise ValueError(
                "'train' and 'heldout' are the same split: set 'heldout_prompts' to the number to hold out"
            )
        return self

    def parts(self, task: str, folder: Path) -> "SourceParts":
        """All rows, split. Equal and nearly equal prompts are in one part, preferably the held-out one."""
        heldout = self._chosen(self.rows(self.heldout, task, folder))
        measured = {alike(row.prompt) for row in heldout}
        rows = self.rows(self.train, task, folder)
        train = [row for row in rows if alike(row.prompt) not in measured]
        prompts = list(dict.fromkeys(alike(row.prompt) for row in train))
        probes = min(self.probe_prompts, len(prompts) // 2)
        followed = set(prompts[len(prompts) - probes :])
        kept: list[Row] = []
        probe: list[Row] = []
        for row in train:
            (probe if alike(row.prompt) in followed else kept).append(row)
        return SourceParts(tuple(kept), tuple(heldout), tuple(probe))

    def _chosen(self, rows: list[Row]) -> list[Row]:
        """The rows of the held-out prompts, independent of the file's order."""
        if self.heldout_prompts is None:
            return rows
        ranked = sorted({row.prompt_id for row in rows}, key=lambda one: hash_json([_CHOICE, one]))
        chosen = set(ranked[: self.heldout_prompts])
        return [row for row in rows if row.prompt_id in chosen]

    def rows(self, split: str, task: str, folder: Path) -> list[Row]:
        """The rows of a split; for demonstrations, only the first of each prompt.

        Args:
            split: Its name in the dataset.
            task: The task's name, for finding its files.
            folder: The task's folder.

        Raises:
            UserError: Neither file nor hub has the split, or a record lacks a column.
        """
        place, records = self._records(split, task, folder)
        found: list[Row] = []
        skipped: list[str] = []
        for record in records:
            try:
                found += self.rows_of(record, place)
            except IncompleteError as error:
                skipped.append(str(error))
        if skipped:
            log.warning(
                "%s: %d records left out; the first, %s.",
                place,
                len(skipped),
                skipped[0].removeprefix(f"{place} "),
            )
        if not found:
            raise UserError(f"{place} has no records" + (" that can be used." if skipped else "."))
        if self.scored:
            return found
        kept: dict[str, Row] = {}
        for row in found:
            kept.setdefault(row.prompt_id, row)
        return list(kept.values())

    def _records(self, split: str, task: str, folder: Path) -> tuple[str, Iterator[Record]]:
        """The split's records, and the name of their source in errors."""
        given = named_files()
        if split in given:
            return str(given[split]), read_records(given[split])
        if split in self.data_files:
            file = folder / self.data_files[split]
            return str(file), read_records(file)
        root = os.environ.get(VARIABLE)
        if root:
            return self._downloaded(Path(root) / task, split)
        try:
            name = f"{HUB}{self.dataset}" + (f":{self.config}" if self.config else "")
            return f"{name} ({split})", hub_records(name, split, self.revision)
        except UserError as error:
            splits = list(dict.fromkeys((self.train, self.heldout)))
            files = " and ".join(f"{task}/{one}.jsonl" for one in splits)
            raise UserError(
                f"Task '{task}': {str(error).rstrip('.')}; or give files with --data-files "
                f"{','.join(f'{one}=FILE' for one in splits)}, or set {VARIABLE} to a folder with the "
                f"dataset as {files}."
            ) from error

    def _downloaded(self, folder: Path, split: str) -> tuple[str, Iterator[Record]]:
        files = [folder / f"{split}{ending}" for ending in _ENDINGS]
        file = next((file for file in files if file.is_file()), None)
        if file is not None:
            return str(file), read_records(file)
        if (folder / "dataset_dict.json").is_file():
            return f"{folder} ({split})", saved_records(folder, split)
        raise UserError(
            f"{VARIABLE}: there is no {files[0]} (nor one ending in {', '.join(_ENDINGS[1:])}); put the "
            f"split '{split}' of {self.dataset} there, or unset the variable to read it from the hub."
        )


def named_files() -> dict[str, Path]:
    """Split → file from the environment variable; raises UserError when it is invalid."""
    found: dict[str, Path] = {}
    for part in filter(None, os.environ.get(FILES_VARIABLE, "").split(",")):
        split, equals, file = part.partition("=")
        if not equals or not split.strip() or not file.strip():
            raise UserError(f"--data-files: '{part}' is not understood; write train=FILE,test=FILE.")
        found[split.strip()] = Path(file.strip())
    return found


def name_files(text: str) -> None:
    """Sets the files of a dataset's splits, for this process and its children."""
    os.environ[FILES_VARIABLE] = text
    found = {split: file.resolve() for split, file in named_files().items()}
    os.environ[FILES_VARIABLE] = ",".join(f"{split}={file}" for split, file in found.items())
