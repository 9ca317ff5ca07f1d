"""Advantages: how much better a rollout, or a token, did than expected. Pure functions."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

Scale = Literal["group", "batch", "none"]
_STD_FLOOR = 1e-4

#: Rewards that differ by so many units in the last place are equal: sums in another order differ so.
_ULPS = 4


def group_advantages(rewards: Tensor, groups: Tensor, scale: Scale = "group") -> Tensor:
    """(r − mean of the group) / (std + 1e-4), GRPO (arXiv 2402.03300, eq. in 4.1.2); (B,).

    Computed in float64 from differences within the group, so that an offset of the rewards costs no digits.

    Args:
        rewards: (B,); float64 where they may have an offset.
        groups: 0 … P−1, the prompt of each rollout; (B,).
        scale: divide by the "group"'s standard deviation, the whole "batch"'s, or by nothing (Dr. GRPO).
    """
    near = _near_zero(rewards, groups)
    # A mean is rounded: without this, equal rewards would have an advantage of their last digit.
    centred = torch.where(degenerate_groups(rewards, groups), 0.0, near - group_mean(near, groups))
    if scale == "batch":
        wide = rewards.double()
        centred = centred / ((wide - wide.mean()).std() + _STD_FLOOR)
    elif scale == "group":
        centred = centred / (group_std(near, groups) + _STD_FLOOR)
    return centred.to(rewards.dtype)


def leave_one_out_advantages(rewards: Tensor, groups: Tensor) -> Tensor:
    """r_i − mean of the group's other rewards, RLOO (arXiv 2402.14740); (B,).

    A group of one has no others: its advantage is 0. Computed in float64, as ``group_advantages`` is.
    """
    sizes, near = _sizes(groups), _near_zero(rewards, groups)
    others = (group_mean(near, groups) * sizes - near) / (sizes - 1).clamp(min=1)
    return torch.where(sizes > 1, near - others, 0.0).to(rewards.dtype)


def generalised_advantages(
    rewards: Tensor, values: Tensor, mask: Tensor, gamma: float = 1.0, lam: float = 0.95
) -> Tensor:
    """GAE (arXiv 1506.02438): Σ_k (γλ)^k δ_{t+k}, δ_t = r_t + γ V_{t+1} − V_t, V = 0 after the end; (B, T).

    Args:
        rewards: per token; (B, T).
        values: V of the state before each token; (B, T).
        mask: True on response tokens, which start at column 0; (B, T).
        gamma: discount per token.
        lam: λ: 1 is the Monte Carlo return, 0 the one-step difference.
    """
    steps = rewards.shape[1]
    advantages = torch.zeros_like(rewards)
    later = torch.zeros_like(rewards[:, 0])
    next_value = torch.zeros_like(later)
    for t in reversed(range(steps)):
        delta = rewards[:, t] + gamma * next_value - values[:, t]
        later = torch.where(mask[:, t], delta + gamma * lam * later, 0.0)
        advantages[:, t] = later
        next_value = torch.where(mask[:, t], values[:, t], 0.0)
    return advantages


def whiten(values: Tensor, mask: Tensor) -> Tensor:
    """Zero mean and unit variance over the masked entries; (B, T), 0 elsewhere."""
    inside = values[mask]
    white = (values - inside.mean()) * torch.rsqrt(inside.var(unbiased=False) + 1e-8)
    return torch.where(mask, white, 0.0)


def group_mean(rewards: Tensor, groups: Tensor) -> Tensor:
    """The mean of each rollout's group; (B,)."""
    total = torch.zeros(int(groups.max()) + 1, dtype=rewards.dtype, device=rewards.device)
    return total.index_add(0, groups, rewards)[groups] / _sizes(groups)


def group_std(rewards: Tensor, groups: Tensor) -> Tensor:
    """The (unbiased) standard deviation of each rollout's group, 0 for a group of one; (B,)."""
    squares = (rewards - group_mean(rewards, groups)).square()
    sizes = _sizes(groups)
    return (group_mean(squares, groups) * sizes / (sizes - 1).clamp(min=1)).sqrt()


def degenerate_groups(rewards: Tensor, groups: Tensor) -> Tensor:
    """Which rollouts belong to a group whose rewards are all equal: no gradient comes from it; (B,) bool."""
    low, high = (_group_end(rewards, groups, how) for how in ("amin", "amax"))
    return high - low <= _ULPS * torch.finfo(rewards.dtype).eps * torch.maximum(low.abs(), high.abs())


def all_equal(rewards: Sequence[float]) -> bool:
    """Whether a group's rewards are all equal, as ``degenerate_groups`` says it."""
    values = torch.tensor(rewards, dtype=torch.float64)
    return bool(degenerate_groups(values, torch.zeros(len(values), dtype=torch.long)).all())


def _near_zero(rewards: Tensor, groups: Tensor) -> Tensor:
    """The rewards in float64 without the least of their group: their common offset is gone exactly; (B,)."""
    wide = rewards.double()
    return wide - _group_end(wide, groups, "amin")


def _group_end(rewards: Tensor, groups: Tensor, how: Literal["amin", "amax"]) -> Tensor:
    """The least or greatest reward of each rollout's group; (B,)."""
    ends = torch.zeros(int(groups.max()) + 1, dtype=rewards.dtype, device=rewards.device)
    return ends.scatter_reduce(0, groups, rewards, how, include_self=False)[groups]


def _sizes(groups: Tensor) -> Tensor:
    return torch.bincount(groups)[groups]
