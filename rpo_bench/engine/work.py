"""What a worker process is told: which stage of which cell, and where everything lies."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rpo_bench.engine.output import Output
from rpo_bench.lm_eval.schema import LmEvalRequest
from rpo_bench.spec.schema import CellSpec
from rpo_bench.spec.trust import Trust

Stage = Literal["reference", "partners", "train", "generate", "score"]


@dataclass(frozen=True)
class JudgeWork:
    """What a worker needs to know to judge what a run has measured.

    Attributes:
        task_folder: where the task, and its judge, is.
        output: the run's folder.
        trust: what is allowed when models are loaded.
        prompts: how many, spread over the held-out ones.
        include_path: a folder of further tasks.
    """

    task_folder: Path
    output: Output
    trust: Trust
    prompts: int
    include_path: Path | None


@dataclass(frozen=True)
class CellWork:
    """What a worker needs to know to do a stage of a cell.

    Attributes:
        spec: the cell's identity.
        strength_name: what its strength is called.
        architecture: "decoder" or "encoder-decoder".
        task_folder: where the task is.
        heldout_folder: where other held-out prompts than the task's own are; see ``Task``.
        output: where everything goes.
        trust: what is allowed when models are loaded.
        threads: of torch.
        checkpoint: a finished checkpoint to measure; None: the base model, or what training leaves.
        command: reproduces the cell.
        tuned: what its record says of the tuning of its learning rate; None without.
    """

    spec: CellSpec
    strength_name: str
    architecture: str
    task_folder: Path
    output: Output
    trust: Trust
    threads: int
    checkpoint: Path | None
    command: str
    heldout_folder: Path | None = None
    tuned: Mapping[str, Any] | None = None

    @property
    def policy(self) -> Path:
        """The folder of the model that is measured."""
        if self.checkpoint is not None:
            return self.checkpoint
        if self.spec.strength is None:
            return Path(self.spec.model_path)
        return self.output.training(self.spec) / "checkpoint"

    @property
    def trained(self) -> bool:
        """Whether a training stage comes first."""
        return self.checkpoint is None and self.spec.strength is not None


@dataclass(frozen=True)
class HarnessWork:
    """What a worker needs to know to run lm-eval's tasks on a cell's model.

    Attributes:
        cell: the cell.
        asked: which tasks, and how.
        base: the result folder of the base model, whose documents its own are paired with; None for itself.
        include_path: a folder of further tasks.
    """

    cell: CellWork
    asked: LmEvalRequest
    base: Path | None
    include_path: Path | None
