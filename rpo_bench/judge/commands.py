"""The commands by which a judge was asked, beside its replies: they are told with the win rates."""

import json
from pathlib import Path

from rpo_bench.atomic import atomic_file

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
        known = json.loads((folder / COMMANDS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [str(one) for one in known] if isinstance(known, list) else []
