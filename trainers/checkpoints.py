"""The resumable checkpoints of a training: which of them were written to the end."""

import json
from collections.abc import Iterator
from pathlib import Path

VALUE_FILE = "value_network.pt"
SCALES_FILE = "gradient_scales.pt"


def complete_checkpoints(folder: Path) -> Iterator[Path]:
    """Trainer's checkpoints that were written to the end, the latest first.

    The trainer's state is what it writes last, in place: a run that was killed may leave half of it.
    """
    found = [
        path
        for path in folder.glob("checkpoint-*")
        if (path / SCALES_FILE).is_file() and _is_json(path / "trainer_state.json")
    ]
    yield from sorted(found, key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)


def _is_json(file: Path) -> bool:
    try:
        json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True
