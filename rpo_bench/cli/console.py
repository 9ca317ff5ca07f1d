"""The two consoles: results go to standard output, messages and progress to standard error."""

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from rpo_bench.errors import bounded
from rpo_bench.terminal.guard import unguarded
from rpo_bench.terminal.screen import err, out
from rpo_bench.terminal.visible import visible, visible_json, visible_lines

__all__ = [
    "err", "out", "print_exact", "print_facts", "print_json", "print_table", "say", "say_notes",
]  # fmt: skip


def say(text: str) -> None:
    """Prints a sentence on standard error, unwrapped; long text from outside is shortened."""
    err().print(bounded(text), soft_wrap=True)


def say_notes(notes: Iterable[str]) -> None:
    """Prints notes on standard error."""
    for note in notes:
        say(f"Note: {note}")


def print_json(value: Any) -> None:
    """Prints exact JSON on standard output, with invisible characters escaped.

    Args:
        value: Plain values, or a pydantic model. A number that isn't finite becomes null.
    """
    plain = value.model_dump(mode="json") if hasattr(value, "model_dump") else value
    text = json.dumps(finite(plain), indent=2, ensure_ascii=False, allow_nan=False)
    print_exact(visible_json(text) + "\n")


def print_exact(text: str) -> None:
    """Prints text for programs: exact in a pipe; on a terminal invisible characters are spelled out."""
    stream = unguarded(sys.stdout)
    stream.write(visible_lines(text) if stream.isatty() else text)
    stream.flush()


def finite(value: Any) -> Any:
    """Plain values, with null for numbers that aren't finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    return [finite(item) for item in value] if isinstance(value, list | tuple) else value


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Prints a table: drawn on a terminal, aligned plain text otherwise.

    Columns of numbers are right-aligned.
    """
    console = out()
    cells = [[_text(value) for value in row] for row in rows]
    right = [bool(rows) and all(isinstance(row[i], int | float) for row in rows) for i in range(len(columns))]
    if title:
        console.print(title, style="bold")
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
    console.print(table)


def print_facts(facts: Mapping[str, Any]) -> None:
    """Prints names and values, one pair per line."""
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
    console.print(grid)


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "" if value is None else bounded(visible(str(value)))
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _print_aligned(console: Console, rows: list[list[str]], right: Sequence[bool]) -> None:
    widths = [max(cell_len(row[i]) for row in rows) for i in range(len(right))]
    for row in rows:
        padded = [
            " " * (width - cell_len(cell)) + cell if numeric else cell + " " * (width - cell_len(cell))
            for cell, width, numeric in zip(row, widths, right, strict=True)
        ]
        console.print("  ".join(padded).rstrip())
