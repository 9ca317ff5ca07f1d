"""Tokenises the rows of a run once and stores them by content hash."""

import dataclasses
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpo_bench.data.convert import desirable_labels
from rpo_bench.data.row import Prompt
from rpo_bench.engine.inputs.base_models import BaseModel
from rpo_bench.engine.inputs.dataset import TrainingData
from rpo_bench.errors import UserError
from rpo_bench.files.atomic import atomic_file
from rpo_bench.files.hashing import hash_json
from rpo_bench.models.prompting import prompt_ids
from rpo_bench.models.special_tokens import check_special
from rpo_bench.models.templates import check_turns
from rpo_bench.models.tokenize import tokenize_rows
from rpo_bench.spec.sections import DataSpec, PromptFormat
from rpo_bench.spec.trust import Trust
from trainers.examples import Examples
from trainers.objective import Method

_FORMAT = 2  # version of the tokenised rows; 2 reads spelt special tokens as plain text
_OPTIONAL = ("desirable", "behaviour_logps", "pairs", "labels")  # of Examples; one number per row


def examples_file(
    cache: Path, model_hash: str, data_hash: str, data: DataSpec, prompt_format: PromptFormat | None = None
) -> Path:
    """The file with the tokenised rows of a model and data set."""
    key = [_FORMAT, model_hash, data_hash, data.long]
    key += [] if prompt_format is None else [prompt_format.hash]
    key += [] if data.max_length is None else [str(data.max_length)]
    return cache / f"examples-{hash_json(key)[:32]}.npz"


def make_examples(data: TrainingData, model: BaseModel, spec: DataSpec, tokenizer: Any) -> Examples:
    """Tokenises the rows; raises UserError for rows that are too long under ``long="fail"``."""
    return tokenize_rows(
        data.rows,
        tokenizer,
        model.context,
        is_encoder_decoder=model.is_encoder_decoder,
        max_response_tokens=model.response_limit if model.is_encoder_decoder else None,
        long=spec.long,
        prompt_format=model.prompt_format,
    )


def too_long_prompts(
    prompts: Sequence[Prompt], model: BaseModel, tokenizer: Any, new_tokens: int
) -> dict[str, int]:
    """The prompts that leave no room for ``new_tokens``: prompt_id → tokens."""
    if model.context is None:
        return {}
    room = 0 if model.is_encoder_decoder else new_tokens
    kind, form = model.is_encoder_decoder, model.prompt_format
    lengths = {p.prompt_id: len(prompt_ids(tokenizer, p.text, kind, form)) for p in prompts}
    return {key: length for key, length in lengths.items() if length + room > model.context}


def check_heldout(
    prompts: Sequence[Prompt], model: BaseModel, tokenizer: Any, new_tokens: int, where: str
) -> None:
    """Checks that every held-out prompt leaves room for a response; raises UserError otherwise."""
    check_turns(tokenizer, (prompt.text for prompt in prompts), model.prompt_format)
    limit = model.response_limit if model.is_encoder_decoder else None
    if limit is not None and new_tokens > limit:
        where = f"the decoder of {model.name} has positions for"
        raise UserError(
            f"Responses may have {new_tokens:,} tokens, and "
            f"{'--max-length allows' if limit == model.max_length else where} {limit:,}: give --gen-kwargs "
            f"max_new_tokens={limit}, or less."
        )
    check_special(tokenizer, [prompt.text for prompt in prompts], (), model.prompt_format)
    too_long = too_long_prompts(prompts, model, tokenizer, new_tokens)
    if too_long:
        worst = max(too_long, key=too_long.__getitem__)
        raise UserError(
            f"{len(too_long):,} of {len(prompts):,} held-out prompts of {where} don't fit {model.limit} with "
            f"{new_tokens:,} new tokens; the longest, {worst}, has {too_long[worst]:,}: lower --gen-kwargs "
            "max_new_tokens=…, or pass --drop-long or --truncate to leave out or cut what is too long."
        )


def save_examples(file: Path, examples: Examples) -> None:
    """Writes tokenised rows to one .npz, atomically."""
    arrays: dict[str, NDArray[Any]] = {"rewards": examples.rewards, "groups": examples.groups}
    for name, lists in (("prompts", examples.prompts), ("responses", examples.responses)):
        arrays[f"{name}_lengths"] = np.array([len(ids) for ids in lists], dtype=np.int64)
        arrays[f"{name}_ids"] = np.concatenate([np.asarray(ids, dtype=np.int32) for ids in lists])
    for name in _OPTIONAL:
        if getattr(examples, name) is not None:
            arrays[name] = getattr(examples, name)
    if examples.reference_rewards is not None:
        groups = sorted(examples.reference_rewards)
        arrays["reference_groups"] = np.array(groups, dtype=np.int64)
        arrays["reference_lengths"] = np.array([len(examples.reference_rewards[g]) for g in groups])
        arrays["reference_rewards"] = np.concatenate([examples.reference_rewards[g] for g in groups])
    with atomic_file(file) as temporary, temporary.open("wb") as out:
        np.savez(out, **arrays)  # type: ignore[arg-type]


def load_examples(file: Path) -> Examples:
    """Reads a file written by ``save_examples``."""
    with np.load(file, allow_pickle=False) as stored:
        arrays = dict(stored)
    reference = None
    if "reference_groups" in arrays:
        parts = _parts(arrays["reference_rewards"], arrays["reference_lengths"])
        reference = dict(zip(arrays["reference_groups"].tolist(), parts, strict=True))
    return Examples(
        prompts=[part.tolist() for part in _parts(arrays["prompts_ids"], arrays["prompts_lengths"])],
        responses=[part.tolist() for part in _parts(arrays["responses_ids"], arrays["responses_lengths"])],
        rewards=arrays["rewards"],
        groups=arrays["groups"],
        reference_rewards=reference,
        **{name: arrays.get(name) for name in _OPTIONAL},
    )


def labelled(examples: Examples, method: Method) -> Examples:
    """The rows, labelled desirable or undesirable by the method's rule if it has one (KTO)."""
    rule = getattr(method, "label_rule", None)
    if rule is None:
        return examples
    _, groups = np.unique(examples.groups, return_inverse=True)  # 0 … G−1 without gaps
    found = desirable_labels(examples.rewards, groups, rule, examples.labels)
    return dataclasses.replace(examples, desirable=found)


def tokenizer_of(model: BaseModel, trust: Trust) -> Any:
    """The model's tokenizer."""
    from rpo_bench.models.loading import load_tokenizer

    return load_tokenizer(str(model.path), trust.trust_remote_code)


@contextmanager
def collected_warnings() -> Iterator[list[str]]:
    """Collects the warnings that RPO-Bench logs inside the block, instead of printing them."""
    found: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record.getMessage())

    logger, handler = logging.getLogger("rpo_bench"), Collector(logging.WARNING)
    propagate = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield found
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate


def _parts(flat: NDArray[Any], lengths: NDArray[Any]) -> list[NDArray[Any]]:
    return np.split(flat, np.cumsum(lengths)[:-1])
