"""The optimisers of policies and critics that train on rollouts: those of the offline engine."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import Trainer

from trainers.arguments import arguments_of
from trainers.settings import TrainingSettings


def policy_optimiser(policy: Any, rate: float, settings: TrainingSettings) -> torch.optim.Optimizer:
    """The optimiser as ``transformers.Trainer`` sets it up: weight decay spares norms and biases."""
    names = set(Trainer.get_decay_parameter_names(None, policy))  # it uses no trainer
    trained = [(name, p) for name, p in policy.named_parameters() if p.requires_grad]
    groups = [
        {"params": [p for name, p in trained if name in names], "weight_decay": settings.weight_decay},
        {"params": [p for name, p in trained if name not in names], "weight_decay": 0.0},
    ]
    return _optimiser(policy, [group for group in groups if group["params"]], rate, settings)


def critic_optimiser(
    critic: Any, parameters: Iterable[nn.Parameter], rate: float, settings: TrainingSettings
) -> torch.optim.Optimizer:
    """The same without weight decay, as for value networks offline."""
    return _optimiser(critic, [{"params": list(parameters), "weight_decay": 0.0}], rate, settings)


def _optimiser(
    module: nn.Module, groups: list[dict[str, Any]], rate: float, settings: TrainingSettings
) -> torch.optim.Optimizer:
    arguments = arguments_of(settings, rate, Path("unused"))
    kind, options = Trainer.get_optimizer_cls_and_kwargs(arguments)
    optimiser: torch.optim.Optimizer = kind(groups, **options)
    spare_embeddings(optimiser, module)
    for group in optimiser.param_groups:
        group["peak"] = rate  # of the schedule
    return optimiser


def spare_embeddings(optimiser: Any, *modules: nn.Module | None) -> None:
    """Keeps 32-bit states of embeddings in an optimiser of eight bits; others are left as they are.

    Rare tokens would lose too much. Trainer does so in a manager that all optimisers of a process share. It
    finds parameters by their addresses and places, so that one training's exceptions would reach another's.
    """
    if not hasattr(optimiser, "mng"):
        return
    from bitsandbytes.optim import GlobalOptimManager

    optimiser.mng = GlobalOptimManager.__new__(GlobalOptimManager)
    optimiser.mng.initialize()
    for module in modules:
        for part in module.modules() if module is not None else ():
            if isinstance(part, nn.Embedding):
                optimiser.mng.register_module_override(part, "weight", {"optim_bits": 32})


def schedule(optimiser: torch.optim.Optimizer, share: float) -> None:
    """Sets the learning rate to a share of its peak."""
    for group in optimiser.param_groups:
        group["lr"] = group["peak"] * share


def parameters_of(optimiser: torch.optim.Optimizer) -> list[nn.Parameter]:
    """All that it trains."""
    return [parameter for group in optimiser.param_groups for parameter in group["params"]]
