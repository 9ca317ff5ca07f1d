"""Probes a policy during training: its reward and KL on a few prompts."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from rpo_bench.data.row import Prompt
from rpo_bench.engine.stages.parts import base_of, decoding_of, reward_of
from rpo_bench.engine.work import CellWork
from rpo_bench.models.hf import HFModel
from rpo_bench.models.loading import AUTOCAST
from rpo_bench.models.protocol import Generation
from rpo_bench.spec.sections import Decoding
from rpo_bench.tasks.task import RewardFunction, Task

LOGPS_BATCH = 128  # sequences per forward pass; fixed, so that rounding is always the same

_SEED = 0
_BATCH = 256


def make_probe(work: CellWork, task: Task, tokenizer: Any) -> Callable[[Any], dict[str, float]] | None:
    """Makes a function that measures mean reward and KL on one sample per probe prompt."""
    reward, prompts = reward_of(work, task), task.probe
    if not prompts:
        return None
    decoding = Decoding(max_new_tokens=decoding_of(work).max_new_tokens)
    base = cache(lambda: base_of(work))  # read once, however many probes there are

    def probe(model: Any) -> dict[str, float]:
        adapted = work.spec.model_path if hasattr(model, "disable_adapter") else None
        policy = HFModel(
            model,
            tokenizer,
            adapter_of=adapted,
            prompt_format=work.spec.prompt_format,
            autocast=work.spec.loading.dtype == AUTOCAST,
        )
        generations = policy.generate(prompts, 1, decoding, _SEED, _BATCH)
        reference = base() if adapted is None else policy.without_adapter()
        measured = {"probe_kl": sampled_kl(policy, reference, generations)}
        if reward is not None:
            measured |= probe_reward(reward, prompts, [generation.text for generation in generations])
        return measured

    return probe


def sampled_kl(policy: HFModel, reference: HFModel, generations: Sequence[Generation]) -> float:
    """KL(policy‖reference) in nats per sequence: the mean log-ratio of the policy's samples."""
    texts = [generation.prompt for generation in generations]
    tokens = [generation.token_ids for generation in generations]
    own, other = (model.token_logps(texts, tokens, LOGPS_BATCH) for model in (policy, reference))
    return float(np.mean([float(p.sum() - q.sum()) for p, q in zip(own, other, strict=True)]))


def probe_reward(reward: RewardFunction, prompts: Sequence[Prompt], texts: Sequence[str]) -> dict[str, float]:
    """The mean of the available scores, under its name in the training log."""
    scores = [score for score in reward(prompts, texts) if score is not None]
    return {"probe_reward": float(np.mean(scores))} if scores else {}
