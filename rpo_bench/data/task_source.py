"""A task's data from a public dataset: out of files that are there, or else from the hub."""

import os
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, field_validator

from rpo_bench.data.hub import hub_records, saved_records
from rpo_bench.data.row import Row
from rpo_bench.data.shapes import prompt_id_of
from rpo_bench.data.sources import HUB, Record, read_records
from rpo_bench.errors import UserError
from rpo_bench.spec import Frozen

#: A folder of downloaded datasets: FOLDER/TASK/SPLIT.jsonl, or FOLDER/TASK as save_to_disk wrote it.
VARIABLE = "RPO_BENCH_DATASETS"
_ENDINGS = (".jsonl", ".jsonl.gz", ".json", ".parquet", ".csv")
_DEMONSTRATION = 1.0  # the reward of a response that the dataset itself gives


@dataclass(frozen=True)
class SourceParts:
    """A dataset's demonstrations, divided."""

    train: tuple[Row, ...]
    heldout: tuple[Row, ...]
    probe: tuple[Row, ...]


class DatasetSource(Frozen):
    """Where a task's prompts and demonstrations come from, and how a record becomes them."""

    dataset: str = Field(description="name on the hub")
    config: str | None = None
    revision: str | None = Field(None, description="commit, tag or branch; None: the latest")
    train: str = Field("train", description="split to train on")
    heldout: str = Field("test", description="split to measure on")
    data_files: dict[str, str] = Field(
        default_factory=dict, description="split → file to read instead, relative to the task's folder"
    )
    prompt: str = Field(description='template of columns, such as "Question: {question}\\nAnswer:"')
    response: str = Field(description="template of the demonstration")
    keep: tuple[str, ...] = Field((), description="columns that the reward wants to see, as metadata")
    probe_prompts: int = Field(
        32, ge=0, description="so many of the last training prompts are followed instead of trained on"
    )

    @field_validator("prompt", "response")
    @classmethod
    def _is_template(cls, value: str) -> str:
        list(string.Formatter().parse(value))  # raises ValueError for a lonely brace
        return value

    def parts(self, task: str, folder: Path) -> "SourceParts":
        """Everything, divided: no prompt is in two parts, and what is held out goes first."""
        heldout = self.rows(self.heldout, task, folder)
        measured = {row.prompt_id for row in heldout}
        train = [row for row in self.rows(self.train, task, folder) if row.prompt_id not in measured]
        probes = min(self.probe_prompts, len(train) // 2)
        return SourceParts(
            tuple(train[: len(train) - probes]), tuple(heldout), tuple(train[len(train) - probes :])
        )

    def rows(self, split: str, task: str, folder: Path) -> list[Row]:
        """The demonstrations of a split, each prompt once: of equal prompts the first counts.

        Args:
            split: As the dataset calls it.
            task: The task's name, by which its files are found.
            folder: The task's folder.

        Raises:
            UserError: Neither file nor hub has the split, or a record lacks a column.
        """
        place, records = self._records(split, task, folder)
        found: dict[str, Row] = {}
        for record in records:
            row = self._row(record, place)
            found.setdefault(row.prompt_id, row)
        if not found:
            raise UserError(f"{place} has no records.")
        return list(found.values())

    def _records(self, split: str, task: str, folder: Path) -> tuple[str, Iterator[Record]]:
        """The split's records, and what errors call the place."""
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
            raise UserError(
                f"Task '{task}': {str(error).rstrip('.')}; make the hub reachable (is HF_HUB_OFFLINE set?), "
                f"or set {VARIABLE} to a folder that has the dataset as {task}/{self.train}.jsonl and "
                f"{task}/{self.heldout}.jsonl."
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

    def _row(self, record: Record, place: str) -> Row:
        where = f"{place} {record.where}"
        if record.problem:
            raise UserError(f"{where}: {record.problem}.")
        prompt = _filled(self.prompt, record.value, where)
        if not prompt.strip():
            raise UserError(f"{where}: the prompt is empty.")
        return Row(
            prompt=prompt,
            response=_filled(self.response, record.value, where),
            reward=_DEMONSTRATION,
            prompt_id=prompt_id_of(prompt),
            metadata={column: _column(record.value, column, where) for column in self.keep},
            source=where,
        )


def _filled(template: str, value: Mapping[str, object], where: str) -> str:
    """A template with a record's columns in it."""
    parts = []
    for text, column, _, _ in string.Formatter().parse(template):
        parts.append(text)
        if column is not None:
            parts.append(str(_column(value, column, where)))
    return "".join(parts)


def _column(value: Mapping[str, object], column: str, where: str) -> object:
    if value.get(column) is None:
        raise UserError(f"{where}: the column '{column}' is missing; there are {', '.join(map(str, value))}.")
    return value[column]
