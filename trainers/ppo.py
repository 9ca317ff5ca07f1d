"""PPO: clipped policy gradient with a critic, per-token KL in the reward (arXiv 1707.06347, 1909.08593)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from trainers.advantages import generalised_advantages, whiten
from trainers.errors import UserError
from trainers.objective import Axes, LossOutput
from trainers.online import CriticInit, Minibatch, OnlineMethod, Rollouts
from trainers.surrogate import aggregate, clipped, clipped_surrogate


@dataclass(frozen=True)
class PPO(OnlineMethod):
    """Per-token rewards 1[t=T] r − β (log π − log π_ref)_t, GAE, clipped surrogate, clipped value loss.

    Attributes:
        gamma: discount.
        lam: λ of GAE.
        value_coef: weight of the value loss.
        value_clip: the critic may move this far from what it said when the rollout was made.
        target_kl: adapts kl_coef so that the KL per sequence stays near it (arXiv 1909.08593); None: fixed.
        critic_init: what the critic starts as: reference, or the reward model that trains it.
    """

    group_size: int = 1
    inner_epochs: int = 4
    gamma: float = 1.0
    lam: float = 0.95
    value_coef: float = 0.1
    value_clip: float = 0.2
    target_kl: float | None = None
    critic_init: CriticInit = "reference"

    name: ClassVar[str] = "ppo"
    title: ClassVar[str] = "Proximal policy optimisation"
    paper: ClassVar[str] = "arXiv 1707.06347"
    equation: ClassVar[str] = "J = E[min(ρA, clip(ρ)A)],  A = GAE of r_t = 1[t=T] r − β log π/π_ref"
    axes: ClassVar[Axes] = Axes("prompts", "samples of the policy", "clip·ρ·A_GAE, per token")
    uses_critic: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Refuses a critic that starts in other units than its targets."""
        super().__post_init__()
        if self.critic_init == "reward" and self.reward_scaling != "none":
            raise UserError(
                "ppo: critic_init=reward starts the critic in the reward model's units, and "
                "reward_scaling=running trains it in others: choose one of them."
            )

    def advantages(self, rollouts: Rollouts) -> tuple[Tensor, Tensor]:
        """Whitened GAE, and the returns that the critic is fitted to."""
        assert rollouts.values is not None
        rewards = self.token_rewards(rollouts)
        values = rollouts.values.to(rewards.dtype)
        found = generalised_advantages(rewards, values, rollouts.mask, self.gamma, self.lam)
        return whiten(found, rollouts.mask), found + values

    def token_rewards(self, rollouts: Rollouts) -> Tensor:
        """−β (log π − log π_ref)_t, and the reward on the last token; (B, T)."""
        penalty = self.kl_coef * (rollouts.proximal_logps - rollouts.reference_logps)
        rewards = torch.where(rollouts.mask, -penalty, 0.0).to(rollouts.rewards.dtype)
        last = rollouts.mask.sum(dim=1) - 1
        return rewards.scatter_add(1, last[:, None], rollouts.rewards[:, None])

    def surrogate(self, batch: Minibatch) -> LossOutput:
        """Policy and value loss, each a mean over all tokens of the optimiser batch."""
        rollouts = batch.rollouts
        assert batch.values is not None
        assert batch.returns is not None
        assert rollouts.values is not None
        ratio = (batch.logps - rollouts.proximal_logps).exp()
        gain = clipped_surrogate(ratio, batch.advantages, self.clip_low, self.clip_high)
        near = rollouts.values + (batch.values - rollouts.values).clamp(-self.value_clip, self.value_clip)
        errors = torch.maximum((batch.values - batch.returns).square(), (near - batch.returns).square())

        def mean(per_token: Tensor) -> Tensor:
            totals = (batch.total_rollouts, batch.total_tokens, batch.longest)
            return aggregate(per_token, rollouts.mask, "token_mean", *totals)

        value_loss = 0.5 * mean(errors)
        clip = clipped(ratio.detach(), batch.advantages, self.clip_low, self.clip_high)
        return LossOutput(
            -mean(gain) + self.value_coef * value_loss,
            {"value_loss": value_loss.detach(), "clip_fraction": mean(clip)},
        )
