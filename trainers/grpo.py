"""GRPO: group-relative policy optimisation, with its Dr. GRPO and DAPO variants."""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

from torch import Tensor

from trainers.advantages import Scale, group_advantages
from trainers.objective import Axes, LossOutput
from trainers.online import Minibatch, OnlineMethod, Rollouts
from trainers.surrogate import (
    Aggregate,
    aggregate,
    cispo_surrogate,
    clipped,
    clipped_surrogate,
    k3,
    outside,
    sequence_ratio,
)

LossType = Literal["grpo", "dr_grpo", "dapo"]
_AGGREGATES: dict[str, Aggregate] = {
    "grpo": "sequence_mean",
    "dr_grpo": "constant",
    "dapo": "token_mean",
}


@dataclass(frozen=True)
class GRPO(OnlineMethod):
    """Clipped policy gradient with group-normalised advantages, and a penalty on the KL.

    Attributes:
        scale_rewards: what advantages are divided by: the "group"'s or the "batch"'s deviation, or "none".
        loss_type: how tokens are averaged: "grpo", "dr_grpo" or "dapo".
        kl: where the KL is penalised: its k3 estimate in the "loss", or log π/π_ref in the "reward".
        ratio: ρ of each "token", or of the "sequence" per token (GSPO).
        clipping: what the clip limits: the "objective" (PPO), or the "weight" of a token's gradient (CISPO).
        entropy_coef: weight of the policy's entropy at each token, which is maximised as well.
    """

    scale_rewards: Scale = "group"
    loss_type: LossType = "grpo"
    kl: Literal["loss", "reward"] = "loss"
    ratio: Literal["token", "sequence"] = "token"
    clipping: Literal["objective", "weight"] = "objective"
    entropy_coef: float = 0.0

    name: ClassVar[str] = "grpo"
    title: ClassVar[str] = "Group-relative policy optimisation"
    paper: ClassVar[str] = "arXiv 2402.03300"
    equation: ClassVar[str] = "J = E[min(ρA, clip(ρ)A) − β k3],  A = (r − mean)/std over the group"
    axes: ClassVar[Axes] = Axes("prompts", "groups from the policy", "clip·ρ·A + β(π_ref/π_θ − 1), per token")
    least_group: ClassVar[int] = 2

    @property
    def chosen_axes(self) -> Axes:
        """The axes; no pull towards the reference in the coefficient if the KL is in the reward.

        An entropy bonus is a term beside the coefficient: its gradient is over all tokens of the vocabulary.
        """
        axes = super().chosen_axes
        coefficient = axes.coefficient
        if self.kl == "reward":
            coefficient = coefficient.replace(" + β(π_ref/π_θ − 1)", "")
        if self.uses_entropy:
            coefficient += f"; {self.entropy_coef:g} ∇H beside it"
        return dataclasses.replace(axes, coefficient=coefficient)

    @property
    def uses_entropy(self) -> bool:
        """Whether there is an entropy bonus."""
        return self.entropy_coef != 0

    @classmethod
    def filtered(cls) -> Self:
        """GRPO with DAPO's dynamic sampling: groups without reward variance are drawn anew."""
        return cls(filter_groups=True)

    def advantages(self, rollouts: Rollouts) -> tuple[Tensor, None]:
        """(r − mean)/(std + 1e-4) within the group, for every token; r̂ if the KL is in the reward."""
        rewards = rollouts.rewards if self.kl == "loss" else self.shaped_rewards(rollouts)
        found = group_advantages(rewards, rollouts.groups, self.scale_rewards)
        return self.per_token(found, rollouts), None

    def surrogate(self, batch: Minibatch) -> LossOutput:
        """−(surrogate − kl_coef · k3 + entropy_coef · H), aggregated as ``loss_type`` says.

        There is no k3 if the KL is in the reward.
        """
        rollouts = batch.rollouts
        log_ratio = batch.logps - rollouts.proximal_logps  # (b, T)
        ratio = log_ratio.exp() if self.ratio == "token" else sequence_ratio(log_ratio, rollouts.mask)
        gain = self.off_policy_weight(rollouts) * self._gain(ratio, batch)
        penalty = k3(batch.logps, rollouts.reference_logps)
        if self.kl == "loss":
            gain = gain - self.kl_coef * penalty
        if batch.entropies is not None:
            gain = gain + self.entropy_coef * batch.entropies
        limited = outside if self.clipping == "weight" else clipped
        clip = limited(ratio.detach(), batch.advantages, self.clip_low, self.clip_high)
        return LossOutput(
            -self.aggregate(gain, batch),
            {
                "kl_k3": self.aggregate(penalty.detach(), batch),
                "clip_fraction": self.aggregate(clip, batch),
            },
        )

    def _gain(self, ratio: Tensor, batch: Minibatch) -> Tensor:
        """What is maximised but for the KL; (b, T)."""
        limits = self.clip_low, self.clip_high
        if self.clipping == "weight":
            return cispo_surrogate(ratio, batch.advantages, batch.logps, *limits)
        return clipped_surrogate(ratio, batch.advantages, *limits)

    def off_policy_weight(self, rollouts: Rollouts) -> Tensor | float:
        """The correction for rollouts that another policy sampled: none here, all are fresh."""
        return 1.0

    def aggregate(self, per_token: Tensor, batch: Minibatch) -> Tensor:
        """One number out of (b, T); ()."""
        how = _AGGREGATES[self.loss_type]
        totals = (batch.total_rollouts, batch.total_tokens, batch.longest)
        return aggregate(per_token, batch.rollouts.mask, how, *totals)


@dataclass(frozen=True)
class GSPO(GRPO):
    """GRPO with one ratio per sequence, its clip ranges as small as such a ratio's moves."""

    ratio: Literal["token", "sequence"] = "sequence"
    clip_low: float = 3e-4
    clip_high: float = 4e-4

    name: ClassVar[str] = "gspo"
    title: ClassVar[str] = "Group sequence policy optimisation"
    paper: ClassVar[str] = "arXiv 2507.18071"
    equation: ClassVar[str] = "J = E[min(sA, clip(s)A)] − β k3,  s = (π_θ/π_old)^{1/|y|} of the sequence"
    axes: ClassVar[Axes] = Axes("prompts", "groups from the policy", "clip·s·A/|y| + β(π_ref/π_θ − 1)")


@dataclass(frozen=True)
class CISPO(GRPO):
    """GRPO whose clip limits a token's weight instead of dropping the token; mean over all tokens."""

    clipping: Literal["objective", "weight"] = "weight"
    loss_type: LossType = "dapo"
    clip_low: float = 1.0
    clip_high: float = 4.0

    name: ClassVar[str] = "cispo"
    title: ClassVar[str] = "Clipped importance sampling policy optimisation"
    paper: ClassVar[str] = "arXiv 2506.13585"
    equation: ClassVar[str] = "J = E[sg(clip(ρ)) A log π_θ − β k3], mean over all tokens"
    axes: ClassVar[Axes] = Axes(
        "prompts", "groups from the policy", "clip(ρ)·A + β(π_ref/π_θ − 1), per token"
    )
