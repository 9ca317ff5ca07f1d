"""Cuts, drops or refuses held-out prompts that leave no room for a response."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from rpo_bench.data.row import Prompt
from rpo_bench.engine.inputs.base_models import BaseModel
from rpo_bench.engine.inputs.dataset import write_prompts
from rpo_bench.engine.inputs.examples import tokenizer_of, too_long_prompts
from rpo_bench.errors import UserError
from rpo_bench.files.atomic import atomic_folder
from rpo_bench.files.hashing import hash_json
from rpo_bench.models.cutting import cut_prompt
from rpo_bench.spec.trust import Trust
from rpo_bench.tasks.task import HELDOUT, Task

log = logging.getLogger(__name__)


def fitting_task(
    task: Task,
    models: Sequence[BaseModel],
    new_tokens: int,
    long: Literal["fail", "truncate", "drop"],
    around: tuple[Trust, Path],
) -> Task:
    """The task with only held-out prompts that fit all models; under "fail", the unchanged task.

    If prompts were cut or dropped, the task has another hash, so its results are never mixed with those
    measured on all prompts.

    Args:
        task: the original task.
        models: the models to measure.
        new_tokens: the limit on response tokens.
        long: how prompts that are too long are handled.
        around: permissions for loading models, and ``--work-path``.
    """
    trust, work = around
    prompts = tuple(task.heldout) if long != "fail" else ()
    kept = prompts
    for model in models if long != "fail" else ():
        kept = fitting(kept, model, tokenizer_of(model, trust), new_tokens, cut=long == "truncate")
    return task if kept == prompts else replace(task, heldout_folder=written(task, kept, work))


def fitting(
    prompts: tuple[Prompt, ...], model: BaseModel, tokenizer: Any, new_tokens: int, cut: bool
) -> tuple[Prompt, ...]:
    """The prompts that leave room for a response, some cut at the beginning; logs how many.

    Raises:
        UserError: no prompt is left.
    """
    if cut:
        prompts = shortened(prompts, model, tokenizer, new_tokens)
    too_long = too_long_prompts(prompts, model, tokenizer, new_tokens)
    if not too_long:
        return prompts
    kept = tuple(prompt for prompt in prompts if prompt.prompt_id not in too_long)
    if not kept:
        raise UserError(f"No held-out prompt leaves room for a response in the context of {model.name}.")
    log.warning(
        "%d of %d held-out prompts don't fit the context of %s and are left out.",
        len(too_long), len(prompts), model.name,
    )  # fmt: skip
    return kept


def shortened(
    prompts: Sequence[Prompt], model: BaseModel, tokenizer: Any, new_tokens: int, kind: str = "held-out"
) -> tuple[Prompt, ...]:
    """The prompts, with those that are too long cut at the beginning; logs how many."""
    too_long = too_long_prompts(prompts, model, tokenizer, new_tokens)
    if not too_long or model.context is None:
        return tuple(prompts)
    room = model.context - (0 if model.is_encoder_decoder else new_tokens)
    cut = {
        prompt.prompt_id: cut_prompt(
            tokenizer, prompt.text, room, model.is_encoder_decoder, model.prompt_format
        )
        for prompt in prompts
        if prompt.prompt_id in too_long
    }
    log.warning(
        "%d of %d %s prompts don't fit the context of %s and are cut at their beginning.",
        sum(text is not None for text in cut.values()), len(prompts), kind, model.name,
    )  # fmt: skip
    shown = [(prompt, cut.get(prompt.prompt_id)) for prompt in prompts]
    return tuple(p if text is None else p.model_copy(update={"text": text}) for p, text in shown)


def written(task: Task, prompts: Sequence[Prompt], work: Path) -> Path:
    """Writes the prompts to a folder below ``work``, so that workers can load them."""
    rows = [prompt.model_dump(mode="json") for prompt in prompts]
    folder = work / "tasks" / f"{task.spec.name}-{hash_json(rows)[:12]}"
    if not (folder / HELDOUT).is_file():
        with atomic_folder(folder) as temporary:
            write_prompts(temporary / HELDOUT, prompts)
    return folder.resolve()
