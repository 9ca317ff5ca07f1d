"""Work items sent to worker processes: the stage, the cell, and the paths."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rpo_bench.engine.output import Output
from rpo_bench.engine.pool.rank_process import RankPlan
from rpo_bench.lm_eval.schema import LmEvalRequest
from rpo_bench.spec.schema import CellSpec
from rpo_bench.spec.trust import Trust

Stage = Literal["reference", "partners", "train", "generate", "score"]


@dataclass(frozen=True)
class JudgeWork:
    """The work item for judging a run's checkpoints.

    Attributes:
        task_folder: folder of the task and its judge.
        output: the run's folders.
        trust: permissions for loading models.
        prompts: number of held-out prompts, evenly spaced.
        include_path: a folder of further tasks.
    """

    task_folder: Path
    output: Output
    trust: Trust
    prompts: int
    include_path: Path | None


@dataclass(frozen=True)
class CellWork:
    """The work item for a stage of a cell.

    Attributes:
        spec: the cell's identity.
        strength_name: name of its strength.
        architecture: "decoder" or "encoder-decoder".
        task_folder: the task's folder.
        heldout_folder: folder of held-out prompts that replace the task's own; see ``Task``.
        output: the run's folders.
        trust: permissions for loading models.
        processes: how many train its model together.
        checkpoint: a finished checkpoint to measure; None: the base model or the trained checkpoint.
        command: the command that reproduces the cell.
        tuned: the record's entry on the tuning of its learning rate; None without.
    """

    spec: CellSpec
    strength_name: str
    architecture: str
    task_folder: Path
    output: Output
    trust: Trust
    processes: RankPlan
    checkpoint: Path | None
    command: str
    heldout_folder: Path | None = None
    tuned: Mapping[str, Any] | None = None

    @property
    def threads(self) -> int:
        """Torch threads of a process."""
        return self.processes.threads

    @property
    def policy(self) -> Path:
        """The folder of the measured model."""
        if self.checkpoint is not None:
            return self.checkpoint
        if self.spec.strength is None:
            return Path(self.spec.model_path)
        return self.output.training(self.spec) / "checkpoint"

    @property
    def trained(self) -> bool:
        """Whether the cell has a training stage."""
        return self.checkpoint is None and self.spec.strength is not None


@dataclass(frozen=True)
class HarnessWork:
    """The work item for lm-eval's tasks on a cell's model.

    Attributes:
        cell: the cell.
        request: the tasks and how to run them.
        base: result folder of the base model, for paired differences; None for the base model itself.
        include_path: a folder of further tasks.
    """

    cell: CellWork
    request: LmEvalRequest
    base: Path | None
    include_path: Path | None
