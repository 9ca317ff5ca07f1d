"""The task that a run makes of a user's file, cut to what its models have room for."""

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
from rpo_bench.spec.schema import PromptFormat, RunSpec
from rpo_bench.spec.trust import Trust
from rpo_bench.tasks.task import Task

log = logging.getLogger(__name__)


def ad_hoc_task(
    spec: RunSpec, models: Sequence[BaseModel], trust: Trust, work: Path
) -> tuple[Task, TrainingData]:
    """Divides ``--data FILE`` and makes a task of what is held out.

    Args:
        spec: the run's.
        models: its base models.
        trust: what is allowed when models are loaded.
        work: ``--work-path``.

    Raises:
        UserError: the file can't be used.
    """
    parts = read_ad_hoc(spec)
    probe = prompts_of(parts.train)
    asked = spec.evaluation.decoding.max_new_tokens
    tokenizers = [tokenizer_of(model, trust) for model in models]
    both = list(zip(models, tokenizers, strict=True))
    own = response_limit(parts if spec.data.long == "fail" else _without_long(parts, both), both)
    limit = asked or own
    for model, tokenizer in zip(models, tokenizers, strict=True):
        if spec.data.long != "fail":
            cut = spec.data.long == "truncate"
            parts = replace(parts, heldout=fitting(parts.heldout, model, tokenizer, limit, cut))
        unfit = too_long_prompts(probe, model, tokenizer, limit)
        probe = [prompt for prompt in probe if prompt.prompt_id not in unfit]
    if asked is None and own < AD_HOC_NEW_TOKENS:
        log.warning("Responses may have %d tokens: more don't fit a context behind the longest prompt.", own)
    return write_ad_hoc(parts, probe, work, own), TrainingData.of(parts.train, str(spec.data.file))


def response_limit(parts: AdHocParts, models: Sequence[tuple[BaseModel, Any]]) -> int:
    """How many tokens a response may have where nobody says.

    It is the default, or what contexts leave room for behind every prompt, if all logged responses fit into
    that: a small model made of the file has no more context than the file needs.

    Args:
        parts: the file's.
        models: each with its tokenizer.
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
    """Tokens that a response may have behind every prompt; None where nothing limits them."""
    if model.is_encoder_decoder:
        return model.response_limit
    if model.context is None:
        return None
    prompts = {prompt.text for prompt in [*parts.heldout, *prompts_of(parts.train)]}
    return model.context - max(
        len(prompt_ids(tokenizer, text, False, model.prompt_format)) for text in prompts
    )


def _longest_response(parts: AdHocParts, tokenizer: Any, form: PromptFormat | None) -> int:
    """Tokens of the longest logged response, with the one that ends it."""
    return max(map(len, response_ids(tokenizer, [row.response for row in parts.train], form)))


def _without_long(parts: AdHocParts, models: Sequence[tuple[BaseModel, Any]]) -> AdHocParts:
    """The file without the prompts that leave no room for its longest response: they will be cut or left out.

    One long prompt would otherwise decide how long all responses may be.
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
