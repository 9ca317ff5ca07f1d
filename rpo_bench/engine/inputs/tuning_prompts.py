"""Tuning prompts: a part of the training prompts that is neither trained nor tested on."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from rpo_bench.data.conversation import alike
from rpo_bench.data.convert import prompts_of
from rpo_bench.data.row import Row
from rpo_bench.engine.inputs.dataset import TrainingData
from rpo_bench.engine.inputs.heldout import written
from rpo_bench.errors import UserError
from rpo_bench.tasks.task import Task

#: One in this many training prompts is set aside.
SHARE = 5


def for_tuning(
    task: Task, data: Mapping[str, TrainingData], work: Path
) -> tuple[Task, dict[str, TrainingData]]:
    """The task with tuning prompts in place of its held-out ones, and rows of all other prompts.

    The choice depends only on the prompts' texts: all base models, seeds and data variants share it.
    The task gets another hash, so that these results are never mixed with those on the test prompts.

    Args:
        task: the original task.
        data: its training rows, by base model.
        work: the folder to which the prompts are written for workers.

    Raises:
        UserError: too few prompts to set any aside.
    """
    chosen = {prompt.prompt_id: prompt for one in data.values() for prompt in prompts_of(_aside(one))}
    rest = {name: TrainingData.of(_others(one), one.where) for name, one in data.items()}
    if not chosen or any(not one.rows for one in rest.values()):
        where = next(iter(data.values())).where
        raise UserError(
            f"{where} has too few prompts to set some aside for tuning: give data with ten prompts or more."
        )
    prompts = sorted(chosen.values(), key=lambda prompt: prompt.prompt_id)
    return replace(task, heldout_folder=written(task, prompts, work)), rest


def is_aside(prompt: str) -> bool:
    """Whether a prompt is set aside; spacing, case and Unicode form are ignored."""
    digest = hashlib.sha256(f"tuning {alike(prompt)}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") % SHARE == 0


def _aside(data: TrainingData) -> list[Row]:
    return [row for row in data.rows if is_aside(row.prompt)]


def _others(data: TrainingData) -> list[Row]:
    return [row for row in data.rows if not is_aside(row.prompt)]
