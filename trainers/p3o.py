"""P3O: pairwise proximal policy optimisation (arXiv 2310.00212)."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from trainers.errors import UserError
from trainers.objective import Axes, LossOutput
from trainers.online import Minibatch, OnlineMethod, Rollouts
from trainers.surrogate import masked_sum


def p3o_separate(log_w: Tensor, gap: Tensor, epsilon: float) -> Tensor:
    """V1: ½ Σ_i max(g_i, clip g_i), g_i = −sg((r̂_i − r̂_j) w_j) w_i; (P,).

    Args:
        log_w: log π_θ/π_old of both responses of P pairs; (P, 2).
        gap: r̂_1 − r̂_2; (P,).
        epsilon: ratios are clipped to [1 − ε, 1 + ε].
    """
    w = log_w.exp()
    signed = torch.stack([gap, -gap], dim=1)  # (P, 2): r̂_i − r̂_j
    other = w.detach().flip(1)
    plain = -signed * other * w
    limited = -signed * other.clamp(1 - epsilon, 1 + epsilon) * w.clamp(1 - epsilon, 1 + epsilon)
    return 0.5 * torch.maximum(plain, limited).sum(dim=1)


def p3o_joint(log_w: Tensor, gap: Tensor, epsilon: float) -> Tensor:
    """V2: max(g, clip g), g = −sg((r̂_1 − r̂_2) w_1 w_2) ½ log(w_1/w_2), the log-ratio clipped to ±ε; (P,)."""
    weight = gap * log_w.detach().sum(dim=1).exp()
    log_ratio = log_w[:, 0] - log_w[:, 1]
    plain = -weight * 0.5 * log_ratio
    limited = -weight * 0.5 * log_ratio.clamp(-epsilon, epsilon)
    return torch.maximum(plain, limited)


@dataclass(frozen=True)
class P3O(OnlineMethod):
    """Pairwise policy gradient E[(r̂_1 − r̂_2) ∇(log π(y_1) − log π(y_2))/2], invariant to r + δ(x).

    The clipped forms are recalled from the paper and checked against their algebra: at π_θ = π_old both give
    the unclipped gradient exactly, and both are antisymmetric and shift-invariant.

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

    def surrogate(self, batch: Minibatch) -> LossOutput:
        """The clipped pairwise loss; pairs are neighbouring rows."""
        rollouts = batch.rollouts
        log_w = masked_sum(batch.logps - rollouts.proximal_logps, rollouts.mask).view(-1, 2)
        gap = batch.advantages[::2, 0]  # r̂_1 − r̂_2
        epsilon = self.clip_high
        form = p3o_separate if self.form == "separate" else p3o_joint
        pairs = batch.total_rollouts // 2
        outside = (log_w.detach().exp() - 1).abs() > epsilon
        return LossOutput(
            form(log_w, gap, epsilon).sum() / pairs,
            {"clip_fraction": outside.float().sum() / batch.total_rollouts},
        )
