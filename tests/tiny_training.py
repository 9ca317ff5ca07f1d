"""Tiny models, rows and weights for tests that train by either engine."""

import copy
import functools
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from trainers import Examples


@functools.cache
def _read(folder: Path) -> Any:
    kind = AutoModelForCausalLM if folder.name == "decoder" else AutoModelForSeq2SeqLM
    return kind.from_pretrained(folder)


def load(folder: Path) -> Any:
    """The model as it lies in the folder, which is called by its architecture; read once."""
    return copy.deepcopy(_read(folder))


def weights(model: Any) -> torch.Tensor:
    """All of a model's numbers, in a row."""
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def examples(prompts: int = 8, k: int = 4, seed: int = 0) -> Examples:
    """Random rows that every offline method can learn from: k responses to each prompt."""
    rng = np.random.default_rng(seed)
    questions = [rng.integers(4, 30, size=rng.integers(2, 6)).tolist() for _ in range(prompts)]
    answers = [[*rng.integers(4, 30, size=rng.integers(1, 8)).tolist(), 1] for _ in range(prompts * k)]
    rewards = rng.normal(size=prompts * k)
    groups = np.repeat(np.arange(prompts), k)
    samples = {group: rng.normal(size=6) for group in range(prompts)}
    prompt_ids = [questions[group] for group in groups]
    return Examples(prompt_ids, answers, rewards, groups, desirable=rewards > 0, reference_rewards=samples)
