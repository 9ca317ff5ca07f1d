"""Tuning prompts, neither trained nor tested on: a task's own, or a part of the training prompts."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from rpo_bench.data.conversation import alike
from rpo_bench.data.convert import prompts_of
from rpo_bench.data.row import Prompt
from rpo_bench.engine.inputs.dataset import TrainingData
from rpo_bench.engine.inputs.heldout import written
from rpo_bench.errors import UserError
from rpo_bench.tasks.task import Task

#: One in this many training prompts is set aside, where the task has no tuning prompts.
SHARE = 5


def for_tuning(
    task: Task, data: Mapping[str, TrainingData], work: Path
) -> tuple[Task, dict[str, TrainingData]]:
    """The task with tuning prompts in place of its held-out ones, and the rows of all other prompts.

    These are the task's own tuning prompts. Without them, one training prompt in five is set aside. The
    choice depends only on the prompts' texts: all base models, seeds and data variants share it. The task
    gets another hash, so that these results are never mixed with those on the test prompts.

    Args:
        task: the original task.
        data: its training rows, by base model.
        work: the folder to which the prompts are written for workers.

    Raises:
        UserError: too few prompts to set any aside, or only tuning prompts to train on.
    """
    own = {alike(prompt.text) for prompt in task.tuning}
    is_tuning = (lambda text: alike(text) in own) if own else is_aside
    prompts = task.tuning or _set_aside(data)
    rest = {name: _without(one, is_tuning) for name, one in data.items()}
    if not prompts or any(not one.rows for one in rest.values()):
        where = next(iter(data.values())).where
        if own:
            raise UserError(
                f"{where} has only tuning prompts of '{task.spec.name}': give data with other prompts."
            )
        raise UserError(
            f"{where} has too few prompts to set some aside for tuning: give data with ten prompts or more."
        )
    return replace(task, heldout_folder=written(task, prompts, work)), rest


def is_aside(prompt: str) -> bool:
    """Whether a prompt is set aside; spacing, case and Unicode form are ignored."""
    digest = hashlib.sha256(f"tuning {alike(prompt)}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") % SHARE == 0


def _set_aside(data: Mapping[str, TrainingData]) -> list[Prompt]:
    chosen = {
        prompt.prompt_id: prompt
        for one in data.values()
        for prompt in prompts_of([row for row in one.rows if is_aside(row.prompt)])
    }
    return [chosen[name] for name in sorted(chosen)]


def _without(data: TrainingData, is_tuning: Callable[[str], bool]) -> TrainingData:
    """The rows of other prompts; the data itself where that is all of them."""
    rows = [row for row in data.rows if not is_tuning(row.prompt)]
    return data if len(rows) == len(data.rows) else TrainingData.of(rows, data.where)
