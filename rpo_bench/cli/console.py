"""The two consoles: results go to standard output, everything said on the way to standard error."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table


def out() -> Console:
    """Standard output, for results; plain, and as wide as it needs, when it is not a terminal."""
    return _console(stderr=False)


def err() -> Console:
    """Standard error, for progress and messages."""
    return _console(stderr=True)


def _console(stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False)
    if not console.is_terminal:
        console = Console(stderr=stderr, highlight=False, width=10_000, soft_wrap=True)
    return console


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table on standard output: drawn on a terminal, aligned plain text otherwise.

    Columns whose cells are all numbers are aligned to the right.
    """
    console = out()
    cells = [[_text(value) for value in row] for row in rows]
    right = [bool(rows) and all(isinstance(row[i], int | float) for row in rows) for i in range(len(columns))]
    if title:
        console.print(title, style="bold", markup=False)
    if not console.is_terminal:
        _print_aligned(console, [list(columns), *cells], right)
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for i, (name, numeric) in enumerate(zip(columns, right, strict=True)):
        table.add_column(
            name, justify="right" if numeric else "left", no_wrap=i == 0 or numeric, overflow="fold"
        )
    for row in cells:
        table.add_row(*row)
    console.print(table, markup=False)


def print_facts(facts: Mapping[str, Any]) -> None:
    """Names and what they are, one per line, on standard output."""
    console = out()
    cells = [[name, _text(value)] for name, value in facts.items()]
    if not console.is_terminal:
        _print_aligned(console, cells, [False, False])
        return
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column()
    for row in cells:
        grid.add_row(*row)
    console.print(grid, markup=False)


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "" if value is None else str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _print_aligned(console: Console, rows: list[list[str]], right: Sequence[bool]) -> None:
    widths = [max(cell_len(row[i]) for row in rows) for i in range(len(right))]
    for row in rows:
        padded = [
            " " * (width - cell_len(cell)) + cell if numeric else cell + " " * (width - cell_len(cell))
            for cell, width, numeric in zip(row, widths, right, strict=True)
        ]
        console.print("  ".join(padded).rstrip(), markup=False)
