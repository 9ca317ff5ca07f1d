"""P3O: pairwise proximal policy optimisation (arXiv 2310.00212)."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from trainers.errors import UserError
from trainers.objective import Axes, LossOutput
from trainers.online import Minibatch, OnlineMethod, Rollouts
from trainers.rollout_backend import truncated
from trainers.surrogate import clipped, clipped_surrogate, masked_sum

#: Ratios that weight a gradient, and aren't trained through, are kept within these.
_WEIGHT_LOW, _WEIGHT_HIGH = 0.1, 10.0


def p3o_separate(log_w: Tensor, gap: Tensor, epsilon: float) -> Tensor:
    """V1: ½ Σ_i max(−q_i c_j w_i, −q_i c_j clip(w_i)), q_i = r̂_i − r̂_j, c_j = sg clip(w_j, 0.1, 10); (P,).

    Args:
        log_w: log π_θ/π_old of both responses of P pairs; (P, 2).
        gap: r̂_1 − r̂_2, without gradient; (P,).
        epsilon: ratios are clipped to [1 − ε, 1 + ε].
    """
    w = log_w.exp()
    other = w.detach().flip(1).clamp(_WEIGHT_LOW, _WEIGHT_HIGH)
    pull = torch.stack([gap, -gap], dim=1) * other  # (P, 2)
    return -0.5 * clipped_surrogate(w, pull, epsilon, epsilon).sum(dim=1)


def p3o_joint(log_w: Tensor, gap: Tensor, epsilon: float) -> Tensor:
    """V2: ½ max(−q c δ, −q c clip(δ, ±ε)), δ = log w_1 − log w_2, c = sg clip(w_1 w_2, 0.1, 10); (P,)."""
    weight = gap * log_w.detach().sum(dim=1).exp().clamp(_WEIGHT_LOW, _WEIGHT_HIGH)
    moved = log_w[:, 0] - log_w[:, 1]
    return -0.5 * torch.minimum(weight * moved, weight * moved.clamp(-epsilon, epsilon))


@dataclass(frozen=True)
class P3O(OnlineMethod):
    """Pairwise policy gradient E[(r̂_1 − r̂_2) ∇(log π(y_1) − log π(y_2))/2], invariant to r + δ(x).

    The clipped forms are those of the first author's code. At π_θ = π_old both give the unclipped gradient
    exactly; both are antisymmetric and shift-invariant. The KL in r̂ is that of the policy as it is now.

    Attributes:
        form: "separate" (V1) or "joint" (V2).
    """

    group_size: int = 2
    form: Literal["separate", "joint"] = "separate"

    name: ClassVar[str] = "p3o"
    title: ClassVar[str] = "Pairwise proximal policy optimisation"
    paper: ClassVar[str] = "arXiv 2310.00212"
    equation: ClassVar[str] = "∇J = E[(r̂_1 − r̂_2) ∇(log π(y_1) − log π(y_2))/2],  r̂ = r − β log π/π_ref"
    axes: ClassVar[Axes] = Axes("prompts", "two samples of the policy", "±(r̂_1 − r̂_2)/2, clipped")
    least_group: ClassVar[int] = 2
    paired: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Refuses groups that can't be cut into pairs."""
        super().__post_init__()
        if self.group_size % 2:
            raise UserError(f"p3o compares rollouts in pairs: group_size is even, not {self.group_size}.")

    def advantages(self, rollouts: Rollouts) -> tuple[Tensor, None]:
        """r̂_1 − r̂_2 for the first of a pair, r̂_2 − r̂_1 for the second; for every token."""
        shaped = self.shaped_rewards(rollouts).view(-1, 2)
        signed = shaped - shaped.flip(1)
        return self.per_token(signed.flatten(), rollouts), None

    def sampler_weights(self, log_weights: Tensor, mask: Tensor) -> Tensor:
        """One weight per pair, so that its two sides stay opposite."""
        pairs = masked_sum(log_weights, mask).view(-1, 2).sum(dim=1)
        return truncated(pairs).repeat_interleave(2)[:, None].expand_as(log_weights)

    def surrogate(self, batch: Minibatch) -> LossOutput:
        """The clipped pairwise loss; pairs are neighbouring rows."""
        rollouts = batch.rollouts
        log_w = masked_sum(batch.logps - rollouts.proximal_logps, rollouts.mask).view(-1, 2)
        moved = (log_w[:, 0] - log_w[:, 1]).detach()
        gap = batch.advantages[::2, 0] - self.kl_coef * moved  # r̂_1 − r̂_2 under the current policy
        epsilon, pairs = self.clip_high, batch.total_rollouts // 2
        form = p3o_separate if self.form == "separate" else p3o_joint
        return LossOutput(
            form(log_w, gap, epsilon).sum() / pairs,
            {"clip_fraction": self._held_back(log_w.detach(), gap).sum() / batch.total_rollouts},
        )

    def _held_back(self, log_w: Tensor, gap: Tensor) -> Tensor:
        """Where the clip holds the gradient back, as 0 or 1; (P, 2)."""
        if self.form == "separate":
            signed = torch.stack([gap, -gap], dim=1)
            return clipped(log_w.exp(), signed, self.clip_high, self.clip_high)
        beyond = (log_w[:, 0] - log_w[:, 1]) * gap.sign() > self.clip_high
        return beyond.float()[:, None].expand(-1, 2)
