"""The checks of a contributed folder of results."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from rpo_bench.analysis.compatible import difference, panel_key
from rpo_bench.errors import UserError
from rpo_bench.methods import METHODS
from rpo_bench.results.store import Results, StoredRecord, cell_folder, read_results
from rpo_bench.submit.contents import contents
from rpo_bench.submit.privacy import privacy
from rpo_bench.submit.report import Check, SubmitReport, ruled
from rpo_bench.submit.secrets import secrets
from rpo_bench.tasks.oracle_files import ORACLE_FOLDER

#: Rows with fewer training seeds are marked preliminary.
FEW_SEEDS = 3
#: Maximum size of a contribution in MB.
MAX_MB = 5.0
#: Maximum size of all published results in MB, as in ``rpo-bench publish``.
PUBLISHED_MB = 20.0


def check_submission(folder: Path, baselines: Path | None, max_mb: float = MAX_MB) -> SubmitReport:
    """Checks a folder of contributed results.

    Args:
        folder: ``results/community/<who>``, or any folder of results.
        baselines: The published results to compare with; None if there are none.
        max_mb: Maximum size of the folder.

    Raises:
        UserError: The folder doesn't exist or is empty.
    """
    found = read_results(folder)
    if not found.records and not found.broken:
        raise UserError(
            f"{folder}: there are no results here; `rpo-bench publish RUN --output-path {folder}` copies "
            "some."
        )
    records = found.records
    own = _is_published(folder, baselines)
    published = list(records) if own else _published(folder, baselines)
    checks = [
        _readable(found, folder),
        _layout(records, folder),
        *contents(records, folder),
        _comparable(records, published, folder),
        _new(records, () if own else published, folder),
        *_provenance(records, folder),
        _seeds(records),
        _size(folder, PUBLISHED_MB if own and max_mb == MAX_MB else max_mb),
        privacy(records, folder),
        secrets(folder),
    ]
    return SubmitReport(folder=str(folder), records=len(records), checks=tuple(checks))


def _is_published(folder: Path, baselines: Path | None) -> bool:
    """Whether it is the folder of published results itself."""
    return baselines is not None and folder.resolve() == baselines.resolve()


def _published(folder: Path, baselines: Path | None) -> list[StoredRecord]:
    """The project's own results, without the contributed ones."""
    if baselines is None:
        return []
    own, kept = folder.resolve(), read_results(baselines).records
    return [one for one in kept if one.contributor is None and not one.folder.resolve().is_relative_to(own)]


def _readable(found: Results, folder: Path) -> Check:
    broken = [f"{one.folder.relative_to(folder).as_posix()}: {one.reason}" for one in found.broken]
    broken += [
        f"{one.folder.relative_to(folder).as_posix()}: the same cell again" for one in found.duplicates
    ]
    return ruled(
        "records",
        f"{len(found.records)} valid records, each of its own cell",
        "folders that can't be used: {n}",
        broken,
        "remove them, or run their cells again",
    )


def _layout(records: Sequence[StoredRecord], folder: Path) -> Check:
    wrong = []
    for stored in records:
        place = stored.folder.relative_to(folder).as_posix()
        wanted = cell_folder(Path(), stored.record.spec).as_posix()
        if place.removeprefix("results/") != wanted:
            wrong.append(f"{place} belongs to {wanted}")
    return ruled(
        "layout",
        "every result is at <task>/<model>/<cell>",
        "results not at <task>/<model>/<cell>: {n}",
        wrong,
        "`rpo-bench publish RUN --output-path FOLDER` puts them there",
    )


def _comparable(records: Sequence[StoredRecord], published: Sequence[StoredRecord], folder: Path) -> Check:
    """Checks each result against the published ones of its task and base model."""
    places: dict[tuple[str, str], dict[str, StoredRecord]] = defaultdict(dict)
    for one in published:
        places[one.record.spec.task, one.record.spec.model].setdefault(panel_key(one.record), one)
    wrong, alone = [], set()
    for stored in records:
        spec = stored.record.spec
        others = places.get((spec.task, spec.model), {})
        if not others:
            alone.add(f"{spec.task} with {spec.model} has no published baseline")
        elif panel_key(stored.record) not in others:
            reason = difference(stored.record, next(iter(others.values())).record)
            name = stored.folder.relative_to(folder).as_posix()
            wrong.append(f"{name}: {reason or 'they were measured on other prompts'}")
    if alone and not wrong:
        return ruled(
            "comparable",
            "",
            "nothing is published for this task and base model: it will get a separate board",
            sorted(alone),
            "mention it in the pull request, and contribute the baselines (reference and sft) as well",
            "warning",
        )
    return ruled(
        "comparable",
        "same task, prompts, base model, samples and decoding as the published baselines",
        "results that can't be compared with the published baselines: {n}",
        wrong,
        "run them with the task of this version and the settings of `--preset standard`",
    )


def _new(records: Sequence[StoredRecord], published: Sequence[StoredRecord], folder: Path) -> Check:
    """Checks that no contributed cell is published already; such a result isn't shown."""
    cells = {one.record.cell for one in published}
    return ruled(
        "new",
        "none of the cells is already published",
        "cells that are already published and won't be shown: {n}",
        [s.folder.relative_to(folder).as_posix() for s in records if s.record.cell in cells],
        "leave them out, or explain in the pull request how yours differ",
        "warning",
    )


def _provenance(records: Sequence[StoredRecord], folder: Path) -> Iterator[Check]:
    names = {stored.record.cell: stored.folder.relative_to(folder).as_posix() for stored in records}

    def where(wrong: Sequence[StoredRecord]) -> list[str]:
        return [names[stored.record.cell] for stored in wrong]

    yield ruled(
        "commit",
        "the records name their git commit and packages",
        "records without git commit or packages: {n}",
        where(
            [s for s in records if not s.record.environment.git_commit or not s.record.environment.packages]
        ),
        "run from a git checkout of RPO-Bench",
    )
    yield ruled(
        "clean",
        "all results are from committed code",
        "records from code with uncommitted changes: {n}",
        where([s for s in records if s.record.environment.git_dirty]),
        "commit, push, and run again: otherwise nobody else can reproduce these results",
        "warning",
    )
    yield ruled(
        "command",
        "every record has the command that reproduces it",
        "records without a command: {n}",
        where([s for s in records if not s.record.command.strip()]),
        "create results with `rpo-bench train-and-eval` or `rpo-bench eval`",
    )
    known = {*METHODS, "reference"}
    methods = [s.record.spec.method for s in records]
    foreign = {method.name for method in methods if method.source is not None or method.name not in known}
    yield ruled(
        "methods",
        "all methods come with RPO-Bench",
        "methods that don't come with RPO-Bench: {n}",
        sorted(foreign),
        "link their code in the pull request, at the commit that you ran",
        "warning",
    )


def _seeds(records: Sequence[StoredRecord]) -> Check:
    rows: dict[tuple[str, str, str, float], set[int]] = defaultdict(set)
    for stored in records:
        spec = stored.record.spec
        if spec.strength is not None:
            rows[spec.task, spec.model, spec.method.label, spec.strength].add(spec.seed)
    few = [
        f"{method} at {strength:g} on {task} with {model}: {len(seeds)}"
        for (task, model, method, strength), seeds in sorted(rows.items())
        if len(seeds) < FEW_SEEDS
    ]
    return ruled(
        "seeds",
        f"every method and strength has {FEW_SEEDS} training seeds or more",
        f"rows with fewer than {FEW_SEEDS} training seeds, which will be marked preliminary: {{n}}",
        few,
        "a published row needs five seeds: run more with --seeds",
        "warning",
    )


def _size(folder: Path, max_mb: float) -> Check:
    """The size of the results; oracles beside them are the tasks', and nobody contributes them."""
    files = [file for file in folder.rglob("*") if file.is_file() and file.parent.name != ORACLE_FOLDER]
    size = sum(file.stat().st_size for file in files) / 1e6
    over = [f"{size:.1f} MB"] if size > max_mb else []
    return ruled(
        "size",
        f"{size:.1f} MB, within {max_mb:g} MB",
        f"larger than {max_mb:g} MB",
        over,
        "`rpo-bench publish` leaves token data out; contribute fewer strengths or seeds",
    )
