"""Reads stored results for the verbs; results that can't be used are reported and skipped."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rpo_bench.cli.console import say
from rpo_bench.errors import UserError

if TYPE_CHECKING:
    from rpo_bench.cli.judge_flags import JudgeFlags
    from rpo_bench.judge.questions import Game
    from rpo_bench.results.store import Results, StoredRecord


def skipped(folder: Path, reason: str) -> None:
    """Reports a skipped folder and the reason on standard error."""
    text = reason.replace(f"{folder}/", "").rstrip(".")
    say(f"Skipped: {folder}: {text}.")


def read_stored(roots: Path | Sequence[Path]) -> "Results":
    """All results below some folders; those that can't be used are reported on standard error."""
    from rpo_bench.results.store import read_results

    found = read_results(roots)
    for broken in found.broken:
        skipped(broken.folder, broken.reason)
    return found


def read_whole(roots: Path | Sequence[Path]) -> "tuple[StoredRecord, ...]":
    """The records whose samples and scores, if any, can be read; others are reported and skipped."""
    return tuple(filter(_readable, read_stored(roots).records))


def read_judged(
    roots: Path | Sequence[Path], who: "JudgeFlags", include_path: Path | None
) -> "tuple[StoredRecord, ...]":
    """The records that a judge can compare: those with readable samples.

    A task's own judge needs a known task: a record names its task, it never points to a folder with code.

    Raises:
        UserError: There are records, but none of a known task.
    """
    from rpo_bench.tasks.task import known_task, task_folders

    records = read_stored(roots).records
    if who.of_task:
        known = task_folders(include_path)
        for one in records:
            if one.record.spec.task not in known:
                skipped(one.folder, f"--judge {who.judge}: '{one.record.spec.task}' is no known task")
        kept = tuple(one for one in records if one.record.spec.task in known)
        if records and not kept:
            known_task(records[0].record.spec.task, include_path)
        records = kept
    return tuple(filter(_readable, records))


def read_judges(root: Path) -> "dict[str, tuple[dict[str, Any], list[Game]]]":
    """Folder → identity and games of every judge with judgements in an output.

    Judgements that can't be used are reported on standard error.

    Raises:
        UserError: There are no usable judgements.
    """
    from rpo_bench.cli.judge_asking import output_of
    from rpo_bench.judge.storage import judge_folders, load_games, read_identity

    folders = judge_folders(output_of(root))
    if not folders:
        raise UserError(f"{root}: there are no judgements here; create them with 'rpo-bench judge run'.")
    found = {}
    for folder in folders:
        try:
            found[folder.name] = (read_identity(folder), load_games(folder))
        except UserError as error:
            skipped(folder, str(error))
    if not found:
        raise UserError(f"{root}: none of the judgements here can be used.")
    return found


def _readable(stored: "StoredRecord") -> bool:
    """Whether samples and scores, if any, can be read; reports why not."""
    from rpo_bench.results.store import SAMPLES_FILE, SCORES_FILE, read_samples, read_scores

    for name, read in ((SAMPLES_FILE, read_samples), (SCORES_FILE, read_scores)):
        try:
            if os.path.lexists(stored.folder / name):
                read(stored.folder)
        except UserError as error:
            skipped(stored.folder, str(error))
            return False
    return True
