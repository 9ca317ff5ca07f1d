"""Makes a task from ``--data FILE`` and fits it to the models' context lengths."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rpo_bench.data.convert import prompts_of
from rpo_bench.engine.inputs.base_models import BaseModel
from rpo_bench.engine.inputs.dataset import (
    AD_HOC_NEW_TOKENS,
    AdHocParts,
    TrainingData,
    read_ad_hoc,
    write_ad_hoc,
)
from rpo_bench.engine.inputs.examples import tokenizer_of, too_long_prompts
from rpo_bench.engine.inputs.heldout import fitting
from rpo_bench.models.prompting import prompt_ids, response_ids
from rpo_bench.spec.schema import RunSpec
from rpo_bench.spec.sections import PromptFormat
from rpo_bench.spec.trust import Trust
from rpo_bench.tasks.task import Task

log = logging.getLogger(__name__)


def ad_hoc_task(
    spec: RunSpec, models: Sequence[BaseModel], trust: Trust, work: Path
) -> tuple[Task, TrainingData]:
    """Splits ``--data FILE`` by prompt and makes a task of the held-out part.

    Args:
        spec: the run's spec.
        models: the run's base models.
        trust: permissions for loading models.
        work: ``--work-path``.

    Raises:
        UserError: the file can't be read or has too few prompts.
    """
    parts = read_ad_hoc(spec)
    probe = prompts_of(parts.train)
    given = spec.evaluation.decoding.max_new_tokens
    tokenizers = [tokenizer_of(model, trust) for model in models]
    both = list(zip(models, tokenizers, strict=True))
    own = response_limit(parts if spec.data.long == "fail" else _without_long(parts, both), both)
    limit = given or own
    for model, tokenizer in zip(models, tokenizers, strict=True):
        if spec.data.long != "fail":
            cut = spec.data.long == "truncate"
            parts = replace(parts, heldout=fitting(parts.heldout, model, tokenizer, limit, cut))
        unfit = too_long_prompts(probe, model, tokenizer, limit)
        probe = [prompt for prompt in probe if prompt.prompt_id not in unfit]
    if given is None and own < AD_HOC_NEW_TOKENS:
        log.warning("Responses are limited to %d tokens: the context has no room for more.", own)
    return write_ad_hoc(parts, probe, work, own), TrainingData.of(parts.train, str(spec.data.file))


def response_limit(parts: AdHocParts, models: Sequence[tuple[BaseModel, Any]]) -> int:
    """The default limit on response tokens.

    This is the general default, or less if the context is too short for it and all logged responses still
    fit. A small base model trained on the file has no more context than the file needs.

    Args:
        parts: the split file.
        models: the base models with their tokenizers.
    """
    limit = AD_HOC_NEW_TOKENS
    for model, tokenizer in models:
        room = _room(parts, model, tokenizer)
        if (
            room is not None
            and room < limit
            and _longest_response(parts, tokenizer, model.prompt_format) <= room
        ):
            limit = room
    return limit


def _room(parts: AdHocParts, model: BaseModel, tokenizer: Any) -> int | None:
    """Tokens left for a response after the longest prompt; None without a limit."""
    if model.is_encoder_decoder:
        return model.response_limit
    if model.context is None:
        return None
    prompts = {prompt.text for prompt in [*parts.heldout, *prompts_of(parts.train)]}
    return model.context - max(
        len(prompt_ids(tokenizer, text, False, model.prompt_format)) for text in prompts
    )


def _longest_response(parts: AdHocParts, tokenizer: Any, form: PromptFormat | None) -> int:
    """Tokens of the longest logged response, including its end token."""
    return max(map(len, response_ids(tokenizer, [row.response for row in parts.train], form)))


def _without_long(parts: AdHocParts, models: Sequence[tuple[BaseModel, Any]]) -> AdHocParts:
    """The file without prompts that leave no room for its longest response.

    These prompts are cut or dropped later. Otherwise one long prompt would limit all responses.
    """
    for model, tokenizer in models:
        needed = _longest_response(parts, tokenizer, model.prompt_format)
        prompts = [*parts.heldout, *prompts_of(parts.train)]
        long = too_long_prompts(prompts, model, tokenizer, needed)
        train = tuple(row for row in parts.train if row.prompt_id not in long)
        heldout = tuple(prompt for prompt in parts.heldout if prompt.prompt_id not in long)
        if train:
            parts = replace(parts, train=train, heldout=heldout)
    return parts
