"""What is compared: a method along its strengths, one of its strengths, or a single checkpoint."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rpo_bench.analysis.panels import Panel, Row, Series
from rpo_bench.errors import UserError, did_you_mean
from rpo_bench.results.store import RECORD_FILE, Results, StoredRecord, read_results

_AT_STRENGTH = re.compile(r"(?P<name>.+)@(?P<strength>[-+.\deE]+)")


@dataclass(frozen=True)
class Item:
    """One side of a comparison.

    Attributes:
        label: What tables call it.
        series: The series' own label, which its resampled seeds derive from.
        rows: Its strengths; the reference policy has one whose strength is None.
    """

    label: str
    series: str
    rows: tuple[Row, ...]

    @property
    def trained(self) -> bool:
        """False for the reference policy."""
        return self.rows[0].strength is not None

    @property
    def ours(self) -> bool:
        """Whether it is one of the project's own methods, trained by the project."""
        stored = self.rows[0].stored[0]
        return stored.contributor is None and stored.record.spec.method.source is None

    @property
    def seeds(self) -> tuple[int, ...]:
        """Training seeds that any of its strengths has."""
        return tuple(sorted({stored.record.spec.seed for row in self.rows for stored in row.stored}))

    @property
    def lost(self) -> int:
        """Checkpoints without a measurement, for they diverged."""
        return sum(not stored.record.metrics for row in self.rows for stored in row.stored)

    @property
    def strength_name(self) -> str:
        """What the method calls its strength: τ, say."""
        return self.rows[0].stored[0].record.strength_name

    def row(self, strength: float | None) -> Row | None:
        """The row at a strength, or None."""
        return next((row for row in self.rows if row.at(strength)), None)


@dataclass(frozen=True)
class Selection:
    """One argument of the command line: the records that it stands for.

    Attributes:
        text: As it was given.
        records: What it names, in all panels.
    """

    text: str
    records: tuple[StoredRecord, ...]


def read_selections(arguments: Sequence[str], pool: Results, panels: Sequence[Panel]) -> list[Selection]:
    """What the arguments name: folders of results, or methods (``rpo``, ``rpo@0.5``) of the pool.

    Raises:
        UserError: An argument names nothing, or a checkpoint that hasn't been measured.
    """
    return [_asked(text, pool, panels) for text in arguments]


def _asked(text: str, pool: Results, panels: Sequence[Panel]) -> Selection:
    folder = Path(text)
    if folder.is_dir() and not _is_method(text, panels):
        return Selection(text, _of_folder(folder, pool))
    name, strength = split_strength(text)
    found = [
        stored
        for panel in panels
        for series in panel.series
        if name in _names(series, panel)
        for row in series.rows
        if strength is None or row.at(strength)
        for stored in row.stored
    ]
    if found:
        return Selection(text, tuple(found))
    known = sorted({name for panel in panels for series in panel.series for name in _names(series, panel)})
    if strength is not None and name in known:
        raise UserError(f"{text}: '{name}' wasn't run at strength {strength:g}; {_strengths(name, panels)}.")
    if not known:
        raise UserError(f"{text}: there is no such folder, and no results to find a method of that name in.")
    raise UserError(
        f"{text}: there is no such folder, and no method of that name in the results "
        f"({', '.join(known[:12])}).{did_you_mean(name, known)}"
    )


def _is_method(text: str, panels: Sequence[Panel]) -> bool:
    """Whether a bare word that is a folder's name as well means a method."""
    return "/" not in text and any(
        text in _names(series, panel) for panel in panels for series in panel.series
    )


def _of_folder(folder: Path, pool: Results) -> tuple[StoredRecord, ...]:
    found = read_results(folder)
    if found.records:
        cells = {stored.record.cell: stored for stored in pool.records}
        return tuple(cells.get(stored.record.cell, stored) for stored in found.records)
    if found.broken:
        first = found.broken[0]
        raise UserError(f"{first.folder} can't be used: {first.reason}.")
    if (folder / "config.json").is_file() or (folder / "adapter_config.json").is_file():
        raise UserError(
            f"{folder} is a checkpoint without results: measure it with `rpo-bench eval {folder} "
            "--output-path DIR` and compare DIR."
        )
    raise UserError(f"{folder} holds no results (no {RECORD_FILE}).")


def split_strength(text: str) -> tuple[str, float | None]:
    """``rpo@0.5`` → (rpo, 0.5); ``rpo`` → (rpo, None)."""
    match = _AT_STRENGTH.fullmatch(text)
    if match is None:
        return text, None
    try:
        return match["name"], float(match["strength"])
    except ValueError:
        return text, None


def _names(series: Series, panel: Panel) -> set[str]:
    """What a series answers to: its label, and its method's names where no other has these as a label."""
    method = series.rows[0].spec.method
    taken = {other.label for other in panel.series if other is not series}
    return {series.label, *({method.label, method.name} - taken)}


def _strengths(name: str, panels: Sequence[Panel]) -> str:
    found = {
        row.strength
        for panel in panels
        for series in panel.series
        if name in _names(series, panel)
        for row in series.rows
        if row.strength is not None
    }
    return f"there are {', '.join(f'{strength:g}' for strength in sorted(found))}" if found else "it has none"


def items_of(selection: Selection, panel: Panel) -> list[Item]:
    """The items of one argument in a panel, trained ones only where there are any."""
    cells = {stored.record.cell for stored in selection.records}
    found = []
    for series in panel.series:
        rows = tuple(row for row in (_within(row, cells) for row in series.rows) if row.stored)
        if rows:
            found.append(Item(_label(series, rows, selection), series.label, rows))
    trained = [item for item in found if item.trained]
    return trained or found


def _within(row: Row, cells: set[str]) -> Row:
    return Row(row.strength, tuple(stored for stored in row.stored if stored.record.cell in cells))


def _label(series: Series, rows: tuple[Row, ...], selection: Selection) -> str:
    """``rpo``; ``rpo@0.5`` where it is one of several strengths, and with its seed where one of those."""
    label = series.label
    if len(rows) == 1 and (len(series.rows) > 1 or split_strength(selection.text)[1] is not None):
        label += f"@{rows[0].strength:g}"
    narrowed = len(rows) == 1 and len(rows[0].stored) == 1
    whole = next((row for row in series.rows if row.strength == rows[0].strength), None)
    if narrowed and whole is not None and len(whole.stored) > 1:
        label += f" seed {rows[0].stored[0].record.spec.seed}"
    return label


def distinct(items: Iterable[tuple[Selection, Item]]) -> list[Item]:
    """Items under different labels; one that comes twice counts once.

    Raises:
        UserError: Two arguments name different results under one label and can't be told apart.
    """
    found: list[Item] = []
    for selection, item in items:
        if any(item.rows == other.rows for other in found):
            continue
        label = item.label
        if any(label == other.label for other in found):
            label = f"{label} ({Path(selection.text).name})"
        if any(label == other.label for other in found):
            raise UserError(f"Two of the things to compare are called '{label}': rename a folder.")
        found.append(Item(label, item.series, item.rows))
    return found
