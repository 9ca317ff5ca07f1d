"""Trackers: the training log's numbers in TensorBoard, Weights & Biases or Trackio as well.

Every method's log goes through ``TrainingLog``; so do trackers, offline and online alike.
"""

import importlib
import importlib.util
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from trainers.errors import UserError

#: Tracker → the module that it needs.
TRACKERS: Mapping[str, str] = {"tensorboard": "tensorboard", "wandb": "wandb", "trackio": "trackio"}
FOLDER = "tensorboard"
_PROJECT = "rpo-bench"


class Tracker(Protocol):
    """Takes a run's numbers."""

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Takes the numbers of an optimiser step."""

    def close(self) -> None:
        """Ends the run."""


@dataclass(frozen=True)
class Tracked:
    """A run's trackers and the configuration for them.

    Attributes:
        names: which of them.
        run: its name there.
        config: method, strength, seed and so on.
    """

    names: tuple[str, ...] = ()
    run: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)


def check_trackers(names: Sequence[str]) -> None:
    """Checks that all are known and installed; raises UserError otherwise."""
    for name in names:
        if name not in TRACKERS:
            raise UserError(f"--report-to {name}: there is no such tracker: choose {', '.join(TRACKERS)}.")
        if importlib.util.find_spec(TRACKERS[name]) is None:
            raise UserError(f"--report-to {name}: it isn't installed: pip install {name}, or leave it out.")


def open_trackers(tracked: Tracked, folder: Path, keep_steps: int = -1) -> list[Tracker]:
    """Starts or resumes the run in every tracker.

    Args:
        tracked: the trackers and the run's configuration.
        folder: the run's; TensorBoard's files go below it.
        keep_steps: the last step that an interrupted run's log keeps; later ones come again.
    """
    check_trackers(tracked.names)
    makers: Mapping[str, Callable[[Tracked, Path, int], Tracker]]
    makers = {"tensorboard": _TensorBoard, "wandb": _Wandb, "trackio": _Trackio}
    return [makers[name](tracked, folder, keep_steps) for name in tracked.names]


def numbers_of(record: Mapping[str, Any]) -> dict[str, float]:
    """The finite numbers of a log record, but for its step."""
    return {
        name: float(value)
        for name, value in record.items()
        if name != "step" and isinstance(value, int | float) and math.isfinite(value)
    }


class _TensorBoard:
    """Event files under ``tensorboard/`` of the run's folder."""

    def __init__(self, tracked: Tracked, folder: Path, keep_steps: int) -> None:
        from torch.utils.tensorboard import SummaryWriter
        from torch.utils.tensorboard.summary import hparams

        self._writer = SummaryWriter(str(folder / FOLDER), purge_step=keep_steps + 1)
        flat = {k: v for k, v in tracked.config.items() if isinstance(v, int | float | str)}
        for summary in hparams(flat, {}):
            self._writer._get_file_writer().add_summary(summary)
        text = json.dumps({"run": tracked.run, **tracked.config}, indent=1, default=str)
        self._writer.add_text("config", f"```\n{text}\n```", max(0, keep_steps))

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        for name, number in numbers.items():
            self._writer.add_scalar(f"train/{name}", number, step)
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class _Wandb:
    """A run of Weights & Biases; WANDB_PROJECT names the project."""

    def __init__(self, tracked: Tracked, folder: Path, keep_steps: int) -> None:
        self._run = importlib.import_module("wandb").init(
            project=os.environ.get("WANDB_PROJECT", _PROJECT),
            name=tracked.run,
            id=tracked.run,
            config=dict(tracked.config),
            resume="allow",
            dir=str(folder),
        )

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        self._run.log(dict(numbers), step=step)

    def close(self) -> None:
        self._run.finish()


class _Trackio:
    """A run of Trackio; TRACKIO_PROJECT names the project."""

    def __init__(self, tracked: Tracked, folder: Path, keep_steps: int) -> None:
        self._trackio = importlib.import_module("trackio")
        self._trackio.init(
            project=os.environ.get("TRACKIO_PROJECT", _PROJECT),
            name=tracked.run,
            config=dict(tracked.config),
            resume="allow",
        )

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        self._trackio.log(dict(numbers), step=step)

    def close(self) -> None:
        self._trackio.finish()
