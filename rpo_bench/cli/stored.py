"""Stored results as verbs read them: what can't be used is named, and the rest goes on."""

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
    """Says on standard error which folder is left out, and why."""
    told = reason.replace(f"{folder}/", "").rstrip(".")
    say(f"Skipped: {folder}: {told}.")


def read_stored(roots: Path | Sequence[Path]) -> "Results":
    """All results below some folders; those that can't be used are named on standard error."""
    from rpo_bench.results.store import read_results

    found = read_results(roots)
    for broken in found.broken:
        skipped(broken.folder, broken.reason)
    return found


def read_whole(roots: Path | Sequence[Path]) -> "tuple[StoredRecord, ...]":
    """The records whose samples and scores can be read, where there are any; others are named."""
    return tuple(filter(_readable, read_stored(roots).records))


def read_judged(
    roots: Path | Sequence[Path], who: "JudgeFlags", include_path: Path | None
) -> "tuple[StoredRecord, ...]":
    """The records that a judge can be asked about: with samples that can be read, where they have any.

    Of a task's own judge they must be of a known task: a record's task is a name, never a folder with code.

    Raises:
        UserError: There are records, and none of them is of a known task.
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
    """Folder → identity and games of every judge that has judged something of an output.

    Those that can't be used are named on standard error.

    Raises:
        UserError: There are none.
    """
    from rpo_bench.cli.judge_asking import output_of
    from rpo_bench.judge.storage import judge_folders, load_games, read_identity

    folders = judge_folders(output_of(root))
    if not folders:
        raise UserError(f"{root}: there are no judgements here; make them by 'rpo-bench judge run'.")
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
    """Whether samples and scores can be read, where there are any; says why not."""
    from rpo_bench.results.store import SAMPLES_FILE, SCORES_FILE, read_samples, read_scores

    for name, read in ((SAMPLES_FILE, read_samples), (SCORES_FILE, read_scores)):
        try:
            if os.path.lexists(stored.folder / name):
                read(stored.folder)
        except UserError as error:
            skipped(stored.folder, str(error))
            return False
    return True
