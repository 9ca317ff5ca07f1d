"""Surrogate objectives: what is maximised in place of the expected reward. Pure functions."""

from typing import Literal

import torch
from torch import Tensor

Aggregate = Literal["sequence_mean", "token_mean", "constant"]


def clipped_surrogate(ratio: Tensor, advantage: Tensor, low: float, high: float) -> Tensor:
    """min(ρ A, clip(ρ, 1 − low, 1 + high) A), PPO eq. 7 (arXiv 1707.06347); the shape of ``ratio``."""
    return torch.minimum(ratio * advantage, ratio.clamp(1 - low, 1 + high) * advantage)


def cispo_surrogate(ratio: Tensor, advantage: Tensor, logps: Tensor, low: float, high: float) -> Tensor:
    """sg(clip(ρ, 1 − low, 1 + high)) A log π, CISPO eq. 4 (arXiv 2506.13585); the shape of ``ratio``.

    The clip limits the weight of a token and never removes its gradient.
    """
    return ratio.detach().clamp(1 - low, 1 + high) * advantage * logps


def sequence_ratio(log_ratio: Tensor, mask: Tensor) -> Tensor:
    """(π/π_old)^{1/|y|} of the sequence for each of its tokens, GSPO eq. 7 (arXiv 2507.18071); (B, T)."""
    mean = masked_sum(log_ratio, mask) / mask.sum(dim=1).clamp(min=1)
    return mean.exp()[:, None].expand_as(log_ratio)


def clipped(ratio: Tensor, advantage: Tensor, low: float, high: float) -> Tensor:
    """Where the clip holds the gradient back, as 0 or 1; the shape of ``ratio``."""
    too_low = (ratio < 1 - low) & (advantage < 0)
    too_high = (ratio > 1 + high) & (advantage > 0)
    return (too_low | too_high).float()


def outside(ratio: Tensor, advantage: Tensor, low: float, high: float) -> Tensor:
    """Where the clip limits the weight of a token that learns anything, as 0 or 1."""
    return (((ratio < 1 - low) | (ratio > 1 + high)) & (advantage != 0)).float()


def k3(logps: Tensor, reference_logps: Tensor) -> Tensor:
    """π_ref/π − log(π_ref/π) − 1: per token, ≥ 0, unbiased for KL(π‖π_ref) on π's samples; (B, T)."""
    gap = reference_logps - logps
    return gap.exp() - gap - 1


def aggregate(
    per_token: Tensor, mask: Tensor, how: Aggregate, rollouts: int, tokens: int, longest: int
) -> Tensor:
    """One number out of (B, T), such that micro-batches add up; ().

    Args:
        per_token: (B, T).
        mask: True on response tokens; (B, T).
        how: "sequence_mean": mean over tokens, then over rollouts (GRPO); "token_mean": over all tokens
            (DAPO); "constant": sum over tokens divided by a constant length, then mean (Dr. GRPO).
        rollouts: in the whole optimiser batch.
        tokens: in the whole optimiser batch.
        longest: the constant length.
    """
    summed = torch.where(mask, per_token, 0.0).sum(dim=1)  # (B,)
    if how == "sequence_mean":
        return (summed / mask.sum(dim=1).clamp(min=1)).sum() / rollouts
    if how == "token_mean":
        return summed.sum() / tokens
    return summed.sum() / (rollouts * longest)


def masked_sum(per_token: Tensor, mask: Tensor) -> Tensor:
    """Σ over a response's tokens; (B,) from (B, T)."""
    return torch.where(mask, per_token, 0.0).sum(dim=1)
