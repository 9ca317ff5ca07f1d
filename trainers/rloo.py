"""RLOO: REINFORCE with a leave-one-out baseline."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from trainers.advantages import leave_one_out_advantages
from trainers.objective import Axes, LossOutput
from trainers.online import Minibatch, OnlineMethod, Rollouts
from trainers.rollout_backend import truncated
from trainers.surrogate import clipped, clipped_surrogate, masked_sum


@dataclass(frozen=True)
class RLOO(OnlineMethod):
    """Sequence-level policy gradient; the KL is in the reward, the baseline is the mean of the others."""

    group_size: int = 4

    name: ClassVar[str] = "rloo"
    title: ClassVar[str] = "REINFORCE leave-one-out"
    paper: ClassVar[str] = "arXiv 2402.14740"
    equation: ClassVar[str] = "J = E[min(ρA, clip(ρ)A)],  A = r̂ − mean of the others',  r̂ = r − β log π/π_ref"
    axes: ClassVar[Axes] = Axes("prompts", "groups from the policy", "clip·ρ·A, ρ of the sequence")
    least_group: ClassVar[int] = 2

    def advantages(self, rollouts: Rollouts) -> tuple[Tensor, None]:
        """r̂ − mean of the group's others, for every token."""
        found = leave_one_out_advantages(self.shaped_rewards(rollouts), rollouts.groups)
        return self.per_token(found, rollouts), None

    def sampler_weights(self, log_weights: Tensor, mask: Tensor) -> Tensor:
        """One weight per sequence."""
        return truncated(masked_sum(log_weights, mask))[:, None].expand_as(log_weights)

    def surrogate(self, batch: Minibatch) -> LossOutput:
        """−min(ρA, clip(ρ)A) with the ratio of whole sequences."""
        rollouts = batch.rollouts
        ratio = masked_sum(batch.logps - rollouts.proximal_logps, rollouts.mask).exp()  # (b,)
        advantage = batch.advantages[:, 0]
        gain = clipped_surrogate(ratio, advantage, self.clip_low, self.clip_high)
        clip = clipped(ratio.detach(), advantage, self.clip_low, self.clip_high)
        total = batch.total_rollouts
        return LossOutput(-gain.sum() / total, {"clip_fraction": clip.sum() / total})
