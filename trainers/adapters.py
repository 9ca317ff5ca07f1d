"""Whether a model with its adapter switched off is the model that the adapter was put on."""

from typing import Any

import torch
from torch import Tensor

from trainers.batch_check import difference
from trainers.inputs import TokenLayout, collate
from trainers.logps import token_logps
from trainers.trials import trial_rows, trying

_EQUAL = 1e-6  # the same weights go through the same operations


@torch.no_grad()
def trial_logps(model: Any) -> Tensor:
    """Log-probs of a few rows; (B, T)."""
    rows = trial_rows(model)
    layout = TokenLayout.of(model)
    inputs = collate([prompt for prompt, _ in rows], [response for _, response in rows], layout)
    with trying(model):
        return token_logps(model, inputs.to(next(model.parameters()).device))


def changes_base(adapted: Any, before: Tensor) -> bool:
    """Whether the model's outputs with the adapter off differ from those before it was added.

    Bias terms that are trained without an adapter of their own do that, and initialisations that move part of
    the weights into the adapter (PiSSA, OLoRA, CorDA …).

    Args:
        adapted: a peft model.
        before: ``trial_logps`` of the model that it was put on.
    """
    with adapted.disable_adapter():
        return difference([trial_logps(adapted)], [before]) > _EQUAL
