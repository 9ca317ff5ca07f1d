"""GRPO: group-relative policy optimisation, with its Dr. GRPO and DAPO variants."""

from dataclasses import dataclass
from typing import ClassVar, Literal, Self

from torch import Tensor

from trainers.advantages import Scale, group_advantages
from trainers.objective import Axes, LossOutput
from trainers.online import Minibatch, OnlineMethod, Rollouts
from trainers.surrogate import Aggregate, aggregate, clipped, clipped_surrogate, k3

LossType = Literal["grpo", "dr_grpo", "dapo"]
_AGGREGATES: dict[str, Aggregate] = {
    "grpo": "sequence_mean",
    "dr_grpo": "constant",
    "dapo": "token_mean",
}


@dataclass(frozen=True)
class GRPO(OnlineMethod):
    """Clipped policy gradient with group-normalised advantages and the k3 KL in the loss.

    Attributes:
        scale_rewards: what advantages are divided by: the "group"'s or the "batch"'s deviation, or "none".
        loss_type: how tokens are averaged: "grpo", "dr_grpo" or "dapo".
    """

    scale_rewards: Scale = "group"
    loss_type: LossType = "grpo"

    name: ClassVar[str] = "grpo"
    title: ClassVar[str] = "Group-relative policy optimisation"
    paper: ClassVar[str] = "arXiv 2402.03300"
    equation: ClassVar[str] = "J = E[min(ρA, clip(ρ)A) − β k3],  A = (r − mean)/std over the group"
    axes: ClassVar[Axes] = Axes("prompts", "groups from the policy", "clip·ρ·A + β(π_ref/π_θ − 1), per token")
    least_group: ClassVar[int] = 2
    reference_in: ClassVar[Literal["reward", "loss"]] = "loss"

    @classmethod
    def filtered(cls) -> Self:
        """GRPO with DAPO's dynamic sampling: groups without reward variance are drawn anew."""
        return cls(filter_groups=True)

    def advantages(self, rollouts: Rollouts) -> tuple[Tensor, None]:
        """(r − mean)/(std + 1e-4) within the group, for every token."""
        found = group_advantages(rollouts.rewards, rollouts.groups, self.scale_rewards)
        return self.per_token(found, rollouts), None

    def surrogate(self, batch: Minibatch) -> LossOutput:
        """−(clipped surrogate − kl_coef · k3), aggregated as ``loss_type`` says."""
        rollouts = batch.rollouts
        ratio = (batch.logps - rollouts.proximal_logps).exp()  # (b, T)
        gain = clipped_surrogate(ratio, batch.advantages, self.clip_low, self.clip_high)
        gain = self.off_policy_weight(rollouts) * gain
        penalty = k3(batch.logps, rollouts.reference_logps)
        clip = clipped(ratio.detach(), batch.advantages, self.clip_low, self.clip_high)
        return LossOutput(
            -self.aggregate(gain - self.kl_coef * penalty, batch),
            {
                "kl_k3": self.aggregate(penalty.detach(), batch),
                "clip_fraction": self.aggregate(clip, batch),
            },
        )

    def off_policy_weight(self, rollouts: Rollouts) -> Tensor | float:
        """The correction for rollouts that another policy sampled: none here, all are fresh."""
        return 1.0

    def aggregate(self, per_token: Tensor, batch: Minibatch) -> Tensor:
        """One number out of (b, T); ()."""
        how = _AGGREGATES[self.loss_type]
        totals = (batch.total_rollouts, batch.total_tokens, batch.longest)
        return aggregate(per_token, batch.rollouts.mask, how, *totals)
