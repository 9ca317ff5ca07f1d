"""Trials of a model: the rows, the number format and the tolerance with which it is asked what it does."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from trainers.batch_check import TOLERANCE
from trainers.flash import has_flash

#: A prompt and a response.
Pair = tuple[list[int], list[int]]


def trial_rows(model: Any) -> list[Pair]:
    """Three prompts and responses of two lengths, of tokens that the model knows.

    One prompt is a single token: some recurrent models take that for a step of what they read before.
    """
    size = model.get_input_embeddings().weight.shape[0]
    ids = [(11 * place + 5) % size for place in range(16)]
    return [(ids[:4], ids[4:6]), (ids[6:7], ids[8:10]), (ids[10:14], ids[14:16])]


def trial_dtype(model: Any) -> torch.dtype:
    """The number format of a trial's passes: the weights', but flash attention has no float32."""
    dtype: torch.dtype = next(model.parameters()).dtype
    return torch.bfloat16 if dtype == torch.float32 and has_flash(model) else dtype


def tolerance_of(model: Any) -> float:
    """The tolerance of a model's numbers to rounding, by the format of a trial's passes."""
    return TOLERANCE.get(trial_dtype(model), max(TOLERANCE.values()))


@contextmanager
def trying(model: Any) -> Iterator[None]:
    """A block for a trial: no dropout, and passes in ``trial_dtype``, whatever is on around it."""
    weight = next(model.parameters())
    other = trial_dtype(model) != weight.dtype
    with evaluating(model), torch.autocast(weight.device.type, torch.bfloat16, enabled=other):
        yield


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """No dropout for a while."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
