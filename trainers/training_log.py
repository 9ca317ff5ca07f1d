"""The training log: one JSON object a line and step, flushed as it is written."""

import json
import math
from pathlib import Path
from typing import Any

from trainers.tracking import Tracked, numbers_of, open_trackers
from trainers.whole_files import whole_file


class TrainingLog:
    """Appends to a JSONL file that can be read while the run goes on."""

    def __init__(self, file: Path, keep_steps: int = -1, tracked: Tracked | None = None) -> None:
        """Opens the log, keeping what an interrupted run wrote up to step ``keep_steps``.

        Trackers, if any, receive all records.
        """
        kept = [line for line in _whole_lines(file) if json.loads(line)["step"] <= keep_steps]
        file.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(file) as temporary:  # whatever happens now, the log is there
            temporary.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
        self._file = file.open("a", encoding="utf-8")
        self._trackers = [] if tracked is None else open_trackers(tracked, file.parent, keep_steps)

    def write(self, record: dict[str, Any]) -> None:
        """Adds one record; numbers that aren't finite become null."""
        clean = {key: _finite(value) for key, value in record.items()}
        self._file.write(json.dumps(clean, allow_nan=False) + "\n")
        self._file.flush()
        for tracker in self._trackers:
            tracker.log(int(record["step"]), numbers_of(clean))

    def close(self) -> None:
        """Closes the file, and ends the run in the trackers."""
        self._file.close()
        for tracker in self._trackers:
            tracker.close()


def read_training_log(file: Path) -> list[dict[str, Any]]:
    """The records of a log, leaving out a last line that is still being written."""
    return [json.loads(line) for line in _whole_lines(file)]


def _whole_lines(file: Path) -> list[str]:
    if not file.is_file():
        return []
    return [
        line[:-1] for line in file.read_text(encoding="utf-8").splitlines(keepends=True) if line[-1] == "\n"
    ]


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
