"""Results made small enough to be committed: all that checking them needs, nothing that only a model does."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rpo_bench.errors import UserError
from rpo_bench.files.atomic import atomic_folder
from rpo_bench.files.hashing import hash_file
from rpo_bench.files.json_lines import write_json_lines
from rpo_bench.results.places import without_places
from rpo_bench.results.samples import ScoreLine, StoredSample
from rpo_bench.results.schema import Record
from rpo_bench.results.store import (
    SAMPLES_FILE,
    SCORES_FILE,
    SPEC_FILE,
    TRAIN_LOG_FILE,
    StoredRecord,
    read_samples,
    read_scores,
    read_train_log,
    record_folder,
    write_record,
)
from rpo_bench.spec.schema import CellSpec

#: Scores of a sample that follow from its text and its other scores: ``rpo-bench score`` brings them back.
DERIVED = ("proxy_gap", "self_bleu", "self_bleu_within")

#: What a published record says of itself, under ``extra``.
PUBLISHED = "published"

_SCORE_DECIMALS = 4
_LOG_DIGITS = 5
_FILES = {"samples": SAMPLES_FILE, "scores": SCORES_FILE, "train_log": TRAIN_LOG_FILE}


@dataclass(frozen=True)
class Published:
    """One result as it was written.

    Attributes:
        folder: Where it lies.
        size: Bytes of all its files.
    """

    folder: Path
    size: int


def publish(stored: StoredRecord, results: Path) -> Published:
    """Writes a result as it is published; what lay in its place goes.

    The metrics stay as they were measured. Samples keep their texts and lose token ids and log-probabilities,
    scores are rounded to four decimals and lose what follows from the others, the training log is rounded to
    five digits, and files are told by their names, without their places on this machine.

    Args:
        stored: A whole result.
        results: The folder of published results.

    Raises:
        UserError: A file can't be read, or the code that made the result had uncommitted changes.
    """
    record = stored.record
    if record.environment.git_dirty:
        raise UserError(
            f"{stored.folder} was made by code with uncommitted changes: nobody could make it again; "
            "commit, run again, then publish."
        )
    target = record_folder(results, record)
    log = [_rounded(row) for row in read_train_log(stored.folder)]
    with atomic_folder(target) as folder:
        if (stored.folder / SAMPLES_FILE).is_file():  # a policy that diverged answered nothing
            write_json_lines(folder / SAMPLES_FILE, map(_sample, read_samples(stored.folder)))
        if (stored.folder / SCORES_FILE).is_file():
            write_json_lines(folder / SCORES_FILE, map(_scores, read_scores(stored.folder)))
        if log:
            write_json_lines(folder / TRAIN_LOG_FILE, log)
        short = _record(record, folder)
        (folder / SPEC_FILE).write_text(yaml.safe_dump(short.spec.model_dump(mode="json"), sort_keys=False))
        write_record(folder, short, indent=None)
    return Published(target, sum(file.stat().st_size for file in target.iterdir()))


def _record(record: Record, folder: Path) -> Record:
    """The record with the hashes of the files that lie beside it now, and those of the originals."""
    here = {name: hash_file(folder / file) for name, file in _FILES.items() if (folder / file).is_file()}
    originals = {name: record.hashes[name] for name in here if name in record.hashes}
    return record.model_copy(
        update={
            "spec": _spec(record.spec),
            "command": without_places(record.command),
            "hashes": {**record.hashes, **here},
            "extra": {**record.extra, PUBLISHED: record.extra.get(PUBLISHED, originals)},
        }
    )


def _spec(spec: CellSpec) -> CellSpec:
    """The spec without places on this machine, as far as they aren't part of the cell's identity."""
    file, reward = spec.data.file, spec.training.reward
    data = spec.data.model_copy(update={"file": None if file is None else without_places(str(file))})
    training = spec.training.model_copy(update={"reward": without_places(reward)})
    found = spec.model_copy(update={"model_path": spec.model, "data": data, "training": training})
    return CellSpec.model_validate(found.model_dump())


def _sample(sample: StoredSample) -> StoredSample:
    return sample.model_copy(update={"token_ids": (), "policy_logps": None, "reference_logps": None})


def _scores(line: ScoreLine) -> ScoreLine:
    kept = {
        name: None if value is None else round(value, _SCORE_DECIMALS)
        for name, value in line.scores.items()
        if name not in DERIVED
    }
    return line.model_copy(update={"scores": kept})


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: float(f"{value:.{_LOG_DIGITS}g}") if isinstance(value, float) else value
        for name, value in row.items()
    }
