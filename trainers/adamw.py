"""The optimiser of policies and critics that train on rollouts."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from transformers import Trainer

from trainers.settings import TrainingSettings


def policy_adamw(policy: Any, rate: float, settings: TrainingSettings) -> torch.optim.AdamW:
    """AdamW as ``transformers.Trainer`` sets it up offline: weight decay spares norms and biases."""
    names = set(Trainer.get_decay_parameter_names(None, policy))  # it uses no trainer
    trained = [(name, p) for name, p in policy.named_parameters() if p.requires_grad]
    groups = [
        {"params": [p for name, p in trained if name in names], "weight_decay": settings.weight_decay},
        {"params": [p for name, p in trained if name not in names], "weight_decay": 0.0},
    ]
    return _adamw([group for group in groups if group["params"]], rate, settings)


def critic_adamw(
    parameters: Iterable[nn.Parameter], rate: float, settings: TrainingSettings
) -> torch.optim.AdamW:
    """AdamW without weight decay, as for value networks offline."""
    return _adamw([{"params": list(parameters), "weight_decay": 0.0}], rate, settings)


def _adamw(groups: list[dict[str, Any]], rate: float, settings: TrainingSettings) -> torch.optim.AdamW:
    optimiser = torch.optim.AdamW(groups, lr=rate, betas=settings.adam_betas, fused=True)
    for group in optimiser.param_groups:
        group["peak"] = rate  # of the schedule
    return optimiser


def schedule(optimiser: torch.optim.Optimizer, share: float) -> None:
    """Sets the learning rate to a share of its peak."""
    for group in optimiser.param_groups:
        group["lr"] = group["peak"] * share


def parameters_of(optimiser: torch.optim.Optimizer) -> list[nn.Parameter]:
    """All that it trains."""
    return [parameter for group in optimiser.param_groups for parameter in group["params"]]
