"""Runs lm-eval in this process on a model in memory, and restores all global state afterwards."""

import copy
import json
import logging
import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from rpo_bench.lm_eval.find_tasks import hub_at_once, quiet_harness
from rpo_bench.lm_eval.schema import PARTS, DocScore, LmEvalRequest, Measured
from rpo_bench.models.templates import DATED
from rpo_bench.spec.sections import PromptFormat

log = logging.getLogger(__name__)


def run_harness(
    model: Any,
    tokenizer: Any,
    manager: Any,
    request: LmEvalRequest,
    prompt_format: PromptFormat | None = None,
    autocast: bool = False,
) -> Measured:
    """Runs tasks on a model.

    Args:
        model: A transformers model, decoder-only or encoder-decoder, with or without an adapter; its weights,
            mode and settings don't change.
        tokenizer: Its tokenizer; copied, since lm-eval sets its padding.
        manager: The manager of the tasks.
        request: The requested tasks and settings.
        prompt_format: Format of prompts; a chat format also applies to lm-eval's prompts.
        autocast: Whether passes are in bfloat16, over float32 weights.
    """
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.models.huggingface import HFLM

    tqdm.set_lock(threading.RLock())  # its own is shared by processes, and stays behind when a worker ends
    model = model.get_base_model() if hasattr(model, "get_base_model") else model  # with the adapter's layers
    is_chat = prompt_format is not None and prompt_format.kind == "chat"
    with restored(model), quiet_harness(), hub_at_once(request.tasks, manager):
        lm = HFLM(
            pretrained=model,
            tokenizer=_speaking(tokenizer, prompt_format),
            backend="seq2seq" if model.config.is_encoder_decoder else "causal",
            batch_size=request.batch_size,
            mixed_precision_dtype="bfloat16" if autocast else None,
        )
        found = simple_evaluate(
            model=lm,
            tasks=list(request.tasks),
            num_fewshot=request.num_fewshot,
            limit=request.limit,
            batch_size=request.batch_size,
            task_manager=manager,
            log_samples=True,
            apply_chat_template=is_chat,
            system_instruction=prompt_format.system if prompt_format is not None and is_chat else None,
        )
    return measured_of(found)


def _speaking(tokenizer: Any, prompt_format: PromptFormat | None) -> Any:
    """A copy of the tokenizer with the format's chat template, with the fixed date of all prompts."""
    own = copy.deepcopy(tokenizer)
    if prompt_format is not None and prompt_format.kind == "chat":
        own.chat_template = DATED + (prompt_format.template or own.chat_template)
    return own


def measured_of(found: Any) -> Measured:
    """The parts of ``simple_evaluate``'s results that are stored."""
    samples = {task: [_plain(one) for one in lines] for task, lines in found["samples"].items()}
    parts = {part: {task: _plain(found[part].get(task)) for task in samples} for part in PARTS}
    return Measured(
        parts=parts,
        docs=tuple(doc for task in samples for doc in _docs(task, samples[task])),
        samples=samples,
    )


def _docs(task: str, samples: Sequence[dict[str, Any]]) -> Iterator[DocScore]:
    """The scores of metrics with a number per document."""
    for sample in samples:
        suffix = "" if sample["filter"] == "none" else f"@{sample['filter']}"
        for metric in sample["metrics"]:
            score = sample[metric]
            if isinstance(score, bool | int | float) and np.isfinite(score):
                yield DocScore(
                    task=task,
                    metric=metric + suffix,
                    doc_id=sample["doc_id"],
                    doc_hash=sample["doc_hash"][:16],
                    score=float(score),
                )


def _plain(value: Any) -> Any:
    """The value as JSON, serialised like lm-eval does."""
    from lm_eval.utils import handle_non_serializable

    return json.loads(json.dumps(value, default=handle_non_serializable, ensure_ascii=False))


@contextmanager
def restored(model: Any) -> Iterator[None]:
    """Restores what lm-eval changes: the global generators, the model's mode and generation settings."""
    python, numpy_state, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    modes = [(module, module.training) for module in model.modules()]
    settings = copy.deepcopy(getattr(model, "generation_config", None))
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy_state)
        torch.set_rng_state(cpu)
        if devices:
            torch.cuda.set_rng_state_all(devices)
        for module, training in modes:
            module.training = training
        if settings is not None:
            model.generation_config = settings
