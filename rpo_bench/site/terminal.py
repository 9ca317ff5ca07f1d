"""The board on a terminal: the page's verdicts and rows, as wide as the terminal allows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rpo_bench.analysis.board import Board, Section
from rpo_bench.analysis.rows import BoardRow
from rpo_bench.site.about import left_out
from rpo_bench.site.columns import Column, shown_columns
from rpo_bench.stats.interval import Interval
from rpo_bench.terminal.screen import SafeConsole
from rpo_bench.terminal.visible import visible
from rpo_bench.wording import DASH, counted, estimate, listed, number, strength_text

_PLAIN_WIDTH = 200  # where the width is unknown
_ARROWS = {"higher": " ↑", "lower": " ↓", "": ""}


def print_table(board: Board, console: Console | None = None) -> None:
    """Prints every section's verdict and table.

    Args:
        board: What to print.
        console: Where to print; standard output by default.
    """
    screen = console or SafeConsole()
    if not screen.is_terminal and console is None:
        screen = SafeConsole(width=_PLAIN_WIDTH)
    for section in board.sections:
        _print_section(section, screen)
    for line in _left_out(board):
        _say(screen, line, "yellow")


def _print_section(section: Section, screen: Console) -> None:
    screen.print()
    _say(screen, f"{section.panel.task} with {section.panel.model}", "bold")
    _say(screen, section.verdict.text)
    for note in section.verdict.notes:
        _say(screen, f"– {note}", "dim")
    screen.print()
    fitted = fitted_table(section.rows, screen.width)
    screen.print(fitted.table)
    explained = "95 % intervals over training seeds and prompts; ↑ higher is better, ↓ lower is better."
    if fitted.crowded_out:
        explained += f" Too wide to show: {listed([column.name for column in fitted.crowded_out])}."
    if fitted.empty:
        names = listed([column.name for column in fitted.empty])
        explained += f" Missing: {names}; see rpo-bench score and rpo-bench oracle."
    _say(screen, explained, "dim")


def _say(screen: Console, text: str, style: str = "") -> None:
    """Prints text literally, without markup."""
    screen.print(Text(visible(text), style), soft_wrap=not screen.is_terminal)


def _left_out(board: Board) -> list[str]:
    broken, older = board.results.broken, board.results.older
    found = [f"Left out: {visible(str(one.folder))}: {visible(one.reason)}." for one in broken]
    if broken:
        found.append(f"{counted(len(board.results.records), 'checkpoint')} shown, {left_out(broken)}.")
    if older:
        found.append(f"{counted(len(older), 'record')} of an earlier version, upgraded.")
    unread = sum(len(section.unread) for section in board.sections)
    if unread:
        found.append(f"The scores of {counted(unread, 'checkpoint')} can't be read: the page names them.")
    return found


@dataclass(frozen=True)
class Fitted:
    """The widest form of a table that fits.

    Attributes:
        crowded_out: Columns that don't fit.
        empty: Columns without a number in any row.
    """

    table: Table
    crowded_out: tuple[Column, ...]
    empty: tuple[Column, ...]


def fitted_table(rows: Sequence[BoardRow], width: int) -> Fitted:
    """Intervals as [low, high] where there is room, else as ± half of their width, else fewer columns."""
    columns = shown_columns(rows)
    full = tuple(c for c in columns if any(row.point(c.metric) is not None for row in rows))
    empty = tuple(column for column in columns if column not in full)
    if _needed(rows, full, estimate) <= width:
        return Fitted(_table(rows, full, estimate), (), empty)
    kept = full
    while len(kept) > 1 and _needed(rows, kept, _half_width) > width:
        kept = kept[:-1]
    return Fitted(_table(rows, kept, _half_width), full[len(kept) :], empty)


_Form = Callable[[Interval, int], str]


def _half_width(one: Interval, digits: int) -> str:
    """``0.412±0.031``."""
    point = number(one.point, digits)
    if one.low is None or one.high is None:
        return point
    return f"{point}±{number((one.high - one.low) / 2, digits)}"


def _cells(row: BoardRow, columns: Sequence[Column], form: _Form) -> list[str]:
    seeds = f"{len(row.seeds)}" + (f" ({row.diverged} diverged)" if row.diverged else "")
    found = [
        form(row.values[column.metric].interval, column.digits)
        if row.point(column.metric) is not None
        else DASH
        for column in columns
    ]
    strength = visible(strength_text(row.strength_name, row.strength)) or DASH
    return [visible(row.method), strength, seeds, *found]


def _heads(columns: Sequence[Column]) -> list[str]:
    return ["Method", "Strength", "Seeds", *(column.name + _ARROWS[column.better] for column in columns)]


def _needed(rows: Sequence[BoardRow], columns: Sequence[Column], form: _Form) -> int:
    """Width of the table in characters, spaces between columns included."""
    lines = [_heads(columns), *(_cells(row, columns, form) for row in rows)]
    widths = [max(cell_len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return sum(widths) + 3 * (len(widths) - 1)


def _table(rows: Sequence[BoardRow], columns: Sequence[Column], form: _Form) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1))
    for i, head in enumerate(_heads(columns)):
        table.add_column(head, justify="right" if i > 2 else "left", no_wrap=True)
    for row in rows:
        cells = _cells(row, columns, form)
        style = "dim" if row.strength is None else ""
        table.add_row(*(Text(cell) for cell in cells), style=style)
    return table
