"""The commands by which a judge was asked, beside its replies: they are told with the win rates."""

import json
from pathlib import Path

from rpo_bench.errors import UserError
from rpo_bench.files.atomic import atomic_file
from rpo_bench.files.reading import read_json

COMMANDS_FILE = "commands.json"


def note_command(folder: Path, command: str) -> None:
    """Adds a command to those that a judge's folder knows."""
    known = read_commands(folder)
    if command in known:
        return
    with atomic_file(folder / COMMANDS_FILE) as temporary:
        temporary.write_text(json.dumps([*known, command], indent=2) + "\n", encoding="utf-8")


def read_commands(folder: Path) -> list[str]:
    """The commands by which a judge was asked; none where a run asked it, or an earlier version."""
    try:
        known = read_json(folder / COMMANDS_FILE)
    except UserError:
        return []
    return [str(one) for one in known] if isinstance(known, list) else []
