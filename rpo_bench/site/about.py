"""The footer: records read and left out, how numbers are computed, and the environments."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rpo_bench.analysis.board import Board, Section
from rpo_bench.analysis.panels import Row
from rpo_bench.results.schema import SCHEMA_VERSION, Environment
from rpo_bench.results.store import Broken, Kind
from rpo_bench.stats.bootstrap import RESAMPLES
from rpo_bench.wording import counted, listed, strength_text

_INTERVALS = (
    f"95 % bootstrap intervals with {RESAMPLES:,} resamples of the prompts, shared by all methods, and of "
    "the training seeds of each method. With few seeds they are widened by Student's t; with one seed they "
    "cover only the prompts. Corpus-level measures, such as distinct-2, and a judge's win rates combine "
    "Student's interval over seeds with each checkpoint's own over prompts or questions. Intervals are not "
    "adjusted for the number of comparisons; ranks and p-values of paired differences are, by Holm."
)
_EQUAL_KL = (
    "A method's reward at a KL is interpolated linearly from the reference policy through its strengths, "
    "per training seed; a mixture of two policies does at least as well. The KL is the largest that half of "
    "the baselines reach (at least two, if there are two), so rewards don't affect it. Baselines are the "
    "project's own methods with five training seeds, or with several if fewer than two have five. A method "
    "that doesn't reach this KL is compared where it ends."
)
_PACKAGES = ("torch", "transformers", "numpy")


@dataclass(frozen=True)
class About:
    """The footer's text."""

    records: str
    broken: tuple[Broken, ...]
    remarks: tuple[str, ...]
    backends: str
    environments: tuple[str, ...]
    commands: tuple[str, ...]
    intervals: str = _INTERVALS
    equal_kl: str = _EQUAL_KL
    schema: int = SCHEMA_VERSION


def about(board: Board, roots: Sequence[Path], remarks: Sequence[str] = ()) -> About:
    """The footer of a board.

    Args:
        board: What is shown.
        roots: The folders that the results were read from; shown paths are relative to them.
        remarks: Further remarks.
    """
    results = board.results
    broken = tuple(Broken(Path(_within(one.folder, roots)), one.reason, one.kind) for one in results.broken)
    records = [stored.record for stored in results.records]
    diverged = sum(record.status == "diverged" for record in records)
    counts = [f"{counted(len(records), 'checkpoint')} read, {diverged} of them diverged"]
    counts.append(left_out(broken))
    if results.older:
        counts.append(f"{counted(len(results.older), 'record')} of an earlier version, upgraded")
    if results.duplicates:
        counts.append(f"{counted(len(results.duplicates), 'duplicate')} of other cells")
    return About(
        records="; ".join(counts) + ".",
        broken=broken,
        remarks=(*_remarks(board, roots), *remarks),
        backends=_backends(board.sections),
        environments=_environments([record.environment for record in records]),
        commands=tuple(sorted({record.command for record in records})),
    )


_KINDS: tuple[tuple[Kind, str], ...] = (
    ("damaged", "damaged"),
    ("unfinished", "unfinished"),
    ("foreign", "of another program"),
    ("newer", "of a newer version"),
    ("too old", "of an unsupported version"),
)


def left_out(broken: Sequence[Broken]) -> str:
    """``3 left out (2 unfinished, 1 damaged)`` or ``none left out``."""
    if not broken:
        return "none left out"
    found = Counter(one.kind for one in broken)
    kinds = ", ".join(f"{found[kind]} {word}" for kind, word in _KINDS if kind in found)
    return f"{len(broken)} left out ({kinds})"


def _within(folder: Path, roots: Sequence[Path]) -> str:
    for root in roots:
        if folder.is_relative_to(root):
            return folder.relative_to(root).as_posix()
    return folder.name


def _remarks(board: Board, roots: Sequence[Path]) -> tuple[str, ...]:
    remarks = [*_contributed(board)]
    remarks += [
        f"{_within(one.folder, roots)} and {_within(one.kept, roots)} have different metrics for the same "
        "cell; the latter is shown."
        for one in board.results.duplicates
        if one.differs
    ]
    for section in board.sections:
        rows = [(series.label, row) for series in section.panel.series for row in series.rows]
        remarks += [_twins(label, row) for label, row in rows if row.also]
        names = {stored.record.cell: _within(stored.folder, roots) for stored in section.panel.records}
        remarks += [
            f"{names[cell]}: {reason}; it is included in means over seeds but not at equal KL."
            for cell, reason in sorted(section.unread.items(), key=lambda item: names[item[0]])
        ]
    reasons: Counter[tuple[str, str]] = Counter()
    for stored in board.results.records:
        for name, metric in stored.record.metrics.items():
            for reason, n in metric.unscored.items():
                reasons[name, reason] += n
    remarks += [
        f"{name}: {counted(n, 'sample')} unscored ({reason})."
        for (name, reason), n in sorted(reasons.items())
    ]
    return tuple(remarks)


def _twins(label: str, row: Row) -> str:
    """A remark on strengths whose checkpoints are identical."""
    name = row.stored[0].record.strength_name
    others = listed([strength_text(name, strength) for strength in row.also])
    kept = strength_text(name, row.strength)
    return f"{label}: the checkpoints of {others} are identical to those of {kept} and share its row."


def _contributed(board: Board) -> list[str]:
    """A remark on contributed rows."""
    found = Counter(stored.contributor for stored in board.results.records if stored.contributor is not None)
    counts = [f"{counted(n, 'checkpoint')} by {who}" for who, n in sorted(found.items())]
    if not counts:
        return []
    return [f"Rows marked 'community' are contributions that the project did not rerun: {', '.join(counts)}."]


def _backends(sections: Sequence[Section]) -> str:
    """The backend of each measure."""
    found = sorted(
        {
            (value.backend, name)
            for section in sections
            for row in section.rows
            for name, value in row.values.items()
            if value.backend
        }
    )
    by_backend: dict[str, list[str]] = {}
    for backend, name in found:
        by_backend.setdefault(backend, []).append(name)
    parts = [f"{backend} ({', '.join(names)})" for backend, names in by_backend.items()]
    return "; ".join(parts) + "." if parts else "The records name no backends."


def _environments(found: Sequence[Environment]) -> tuple[str, ...]:
    """Each distinct environment with its number of checkpoints, most common first."""
    counts = Counter(_environment(one) for one in found)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(f"{text} ({counted(n, 'checkpoint')})" if len(counts) > 1 else text for text, n in ordered)


def _environment(one: Environment) -> str:
    version = f"RPO-Bench {one.packages.get('rpo-bench', '?')}"
    if one.git_commit:
        version += f", commit {one.git_commit[:10]}{' with uncommitted changes' if one.git_dirty else ''}"
    packages = [f"{name} {one.packages[name]}" for name in _PACKAGES if name in one.packages]
    machine = f"{one.processor}, {one.device}, {one.dtype}, {counted(one.threads, 'thread')}"
    return "; ".join([version, ", ".join([*packages, f"Python {one.python}"]), machine]) + "."
