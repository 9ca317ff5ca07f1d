"""The board's rows as CSV, embedded in the page, and as JSON, a file beside it."""

import json
from typing import Any
from urllib.parse import quote

from rpo_bench.analysis.board import Board
from rpo_bench.analysis.rows import BoardRow
from rpo_bench.files.csv_lines import csv_line
from rpo_bench.results.schema import SCHEMA_VERSION
from rpo_bench.terminal.visible import visible

#: The rows with all their fields, in the data folder.
JSON_FILE = "rpo-bench.json"


def csv_text(board: Board) -> str:
    """One line per row with the estimate, bounds and n of every metric that any row has."""
    names = sorted({name for row in board.rows for name in row.values})
    heads = ["task", "model", "architecture", "method", "strength", "seeds", "diverged", "badge", "row"]
    heads += [f"{name}{part}" for name in names for part in ("", "_low", "_high", "_seeds", "_prompts")]
    lines = [csv_line(map(visible, heads))]
    for row in board.rows:
        about = map(visible, (row.task, row.model, row.architecture, row.method))
        numbers = [row.strength, len(row.seeds), row.diverged, row.badge, row.key]
        lines.append(csv_line([*about, *numbers, *(v for name in names for v in _numbers(row, name))]))
    return "".join(lines)


def _numbers(row: BoardRow, name: str) -> list[float | int | None]:
    if name not in row.values:
        return [None] * 5
    value = row.values[name]
    return [value.interval.point, value.interval.low, value.interval.high, value.seeds, value.prompts]


def json_text(board: Board) -> str:
    """The rows with all fields of every estimate."""
    value = {"schema_version": SCHEMA_VERSION, "rows": [_row(row) for row in board.rows]}
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def _row(row: BoardRow) -> dict[str, Any]:
    return {
        "row": row.key,
        "task": row.task,
        "model": row.model,
        "architecture": row.architecture,
        "method": row.method,
        "strength": row.strength,
        "strength_name": row.strength_name,
        "seeds": list(row.seeds),
        "diverged": row.diverged,
        "badge": row.badge,
        "values": {
            name: {
                **value.interval.model_dump(mode="json"),
                "seeds": value.seeds,
                "prompts": value.prompts,
                "backend": value.backend,
            }
            for name, value in sorted(row.values.items())
        },
        "unscored": dict(sorted(row.unscored.items())),
        "stability": dict(row.stability),
        "command": row.command,
    }


def data_url(text: str, kind: str) -> str:
    """A data URL with the whole file."""
    packed = quote(text.encode("utf-8", "backslashreplace"), safe="/:;,()[]'=+*!@$")
    return f"data:{kind};charset=utf-8,{packed}"
