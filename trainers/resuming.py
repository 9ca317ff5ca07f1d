"""Resumable training: the state in one file beside the model folder."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from trainers.whole_files import whole_file

SAVE_EVERY = 15.0  # seconds


@dataclass
class Resume:
    """The saved state of a training; does nothing without a file.

    The model must have no state beyond weights, optimiser and schedule (no dropout, batches planned ahead).
    The result is then bit-identical to that of an uninterrupted training.

    Attributes:
        file: exists during training; ``done`` deletes it.
        key: of everything that the weights depend on; the state of another training is ignored.
    """

    file: Path | None = None
    key: str = ""
    _saved: float = field(default_factory=time.monotonic)

    @classmethod
    def beside(cls, out: Path, key: str) -> "Resume":
        """For the training that makes the folder ``out``."""
        return cls(out.with_name(f".{out.name}.part"), key)

    def start(self, *parts: Any) -> tuple[int, list[dict[str, float]]]:
        """Restores model, optimiser and schedule; returns the steps done, and their log."""
        if self.file is None or not self.file.is_file():
            return 0, []
        try:
            state = torch.load(self.file, map_location="cpu", weights_only=True)
        except Exception:  # cut short, or of something else: then from the start
            return 0, []
        if state.get("key") != self.key:
            return 0, []
        for part, values in zip(parts, state["parts"], strict=True):
            part.load_state_dict(values)
        return int(state["step"]), list(state["log"])

    def step(self, step: int, log: list[dict[str, float]], *parts: Any) -> None:
        """Saves the state after a step, if enough time has passed."""
        if self.file is None or time.monotonic() - self._saved < SAVE_EVERY:
            return
        states = [part.state_dict() for part in parts]
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(self.file) as temporary:
            torch.save({"key": self.key, "step": step, "log": log, "parts": states}, temporary)
        self._saved = time.monotonic()

    def done(self) -> None:
        """Deletes the state once the model is saved."""
        if self.file is not None:
            self.file.unlink(missing_ok=True)
