"""Stores the commands that ran a judge next to its replies, to be shown with the win rates."""

import json
from pathlib import Path

from rpo_bench.errors import UserError
from rpo_bench.files.atomic import atomic_file
from rpo_bench.files.reading import read_json

COMMANDS_FILE = "commands.json"


def note_command(folder: Path, command: str) -> None:
    """Adds a command to those stored in a judge's folder."""
    known = read_commands(folder)
    if command in known:
        return
    with atomic_file(folder / COMMANDS_FILE) as temporary:
        temporary.write_text(json.dumps([*known, command], indent=2) + "\n", encoding="utf-8")


def read_commands(folder: Path) -> list[str]:
    """The commands that ran a judge; empty if it was part of a run or an earlier version ran it."""
    try:
        known = read_json(folder / COMMANDS_FILE)
    except UserError:
        return []
    return [str(one) for one in known] if isinstance(known, list) else []
