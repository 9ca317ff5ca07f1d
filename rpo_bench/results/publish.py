"""Writes results small enough to commit: everything needed to check them, without token data."""

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

#: Scores that follow from a sample's text and other scores; ``rpo-bench score`` recomputes them.
DERIVED = ("proxy_gap", "self_bleu", "self_bleu_within")

#: The key of published records under ``extra``.
PUBLISHED = "published"

_SCORE_DECIMALS = 4
_LOG_DIGITS = 5
_FILES = {"samples": SAMPLES_FILE, "scores": SCORES_FILE, "train_log": TRAIN_LOG_FILE}


@dataclass(frozen=True)
class Published:
    """A published result.

    Attributes:
        folder: Its folder.
        size: Total size of its files in bytes.
    """

    folder: Path
    size: int


def publish(stored: StoredRecord, results: Path) -> Published:
    """Writes a result in its published form, replacing an existing one.

    Metrics are unchanged. Samples keep their texts and lose token ids and log-probabilities. Scores are
    rounded to four decimals and lose those that follow from others. The training log is rounded to five
    digits. Paths are reduced to file names.

    Args:
        stored: A complete result.
        results: The folder of published results.

    Raises:
        UserError: A file can't be read, or the code that made the result had uncommitted changes.
    """
    record = stored.record
    if record.environment.git_dirty:
        raise UserError(
            f"{stored.folder} comes from code with uncommitted changes, so nobody could reproduce it: "
            "commit, run again, then publish."
        )
    target = record_folder(results, record)
    log = [_rounded(row) for row in read_train_log(stored.folder)]
    with atomic_folder(target) as folder:
        if (stored.folder / SAMPLES_FILE).is_file():  # a diverged policy has no samples
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
    """The record with the hashes of the published files, and those of the originals."""
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
    """The spec without paths on this machine, unless they are part of the cell's identity."""
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
