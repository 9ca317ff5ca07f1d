"""Gradient checkpointing: a layer's activations are computed again in the backward pass, not kept."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers.modeling_layers import GradientCheckpointingLayer

from trainers.errors import UserError
from trainers.inputs import TokenLayout, collate
from trainers.logps import token_logps
from trainers.trials import trial_rows, trying


def enable_recomputing(model: Any) -> None:
    """Prepares a model's layers for ``recomputing``; their outputs stay the same.

    transformers recomputes layers in training mode, in which some also drop activations at random. Dropout of
    the layers themselves is set to zero; layers inside them stay in evaluation mode.

    Args:
        model: a transformers model, with or without adapters; copies made of it later are prepared too.

    Raises:
        UserError: its layers can't be recomputed.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    _check(base, prepare_layers(base))


def prepare_layers(model: Any) -> list[nn.Module]:
    """The same for a model whose outputs aren't logits, without a test of its numbers; returns its layers."""
    try:
        model.activation_checkpointing_enable()
    except ValueError:
        raise _unsupported(model) from None
    layers = recomputed_layers(model)
    if not layers:
        raise _unsupported(model)
    for layer in layers:
        for name, value in vars(layer).items():
            if "dropout" in name and isinstance(value, float):
                setattr(layer, name, 0.0)
    return layers


def recomputed_layers(*models: Any) -> list[nn.Module]:
    """The layers of models that ``enable_recomputing`` has prepared; None counts as a model without."""
    return [
        layer
        for model in models
        if model is not None
        for layer in model.modules()
        if isinstance(layer, GradientCheckpointingLayer) and layer.gradient_checkpointing
    ]


@contextmanager
def recomputing(layers: Sequence[nn.Module]) -> Iterator[None]:
    """A block whose forward passes keep the inputs of these layers alone.

    Without gradients there is nothing to keep, and a cache would be dropped: nothing changes then.
    """
    if not torch.is_grad_enabled():
        yield
        return
    for layer in layers:
        layer.training = True  # of the layer alone, not of those inside it
    try:
        yield
    finally:
        for layer in layers:
            layer.training = False


def _check(model: Any, layers: Sequence[nn.Module]) -> None:
    """Raises UserError if recomputed layers give other numbers."""
    rows = trial_rows(model)
    inputs = collate([prompt for prompt, _ in rows], [said for _, said in rows], TokenLayout.of(model))
    inputs = inputs.to(next(model.parameters()).device)
    with trying(model):
        expected = token_logps(model, inputs)
        with recomputing(layers):
            found = token_logps(model, inputs)
    if not torch.equal(found, expected):
        raise _unsupported(model)


def _unsupported(model: Any) -> UserError:
    return UserError(
        f"--gradient-checkpointing: {type(model).__name__} can't compute its layers again in the backward "
        "pass: leave it out, or lower --micro-batch-size."
    )
