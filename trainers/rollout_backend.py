"""Rollouts by another engine than the policy's own passes, and the correction for its rounding."""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from trainers.sampling import Sampled

#: Weights π/π_sampler are truncated here, which bounds their variance (Ionides, "Truncated importance
#: sampling", 2008).
WEIGHT_CAP = 2.0


class RolloutBackend(Protocol):
    """Samples the policy. It is kept for the whole training."""

    def load(self, policy: Any) -> None:
        """Takes the weights of the policy, a transformers model with or without adapters, as they are now."""

    def sample(
        self, prompts: Sequence[Sequence[int]], count: int, seeds: Sequence[int], temperature: float
    ) -> Sampled:
        """Samples ``count`` responses to each prompt by the weights that were loaded last.

        Args:
            prompts: token ids; P of them.
            count: responses to each.
            seeds: of each response; P · count.
            temperature: logits are divided by it; nothing else changes the distribution.
        """

    def rest(self) -> None:
        """Frees what it can until the next ``load``."""


def truncated(log_weights: Tensor) -> Tensor:
    """Importance weights, at most ``WEIGHT_CAP``; the shape of ``log_weights``."""
    return log_weights.exp().clamp(max=WEIGHT_CAP)


def sampled_entropy(logps: Sequence[Tensor]) -> float:
    """The policy's entropy per token, as estimated by its samples: the mean of −log π, in nats."""
    return -float(torch.cat([row.double() for row in logps]).mean())
