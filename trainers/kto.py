"""KTO: Kahneman–Tversky optimisation on desirable and undesirable responses (arXiv 2402.01306)."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from trainers.objective import Axes, Batch, LossOutput, Need, OfflineMethod


def kto_loss(
    log_ratio: Tensor,
    desirable: Tensor,
    z0: Tensor,
    beta: float,
    weight_d: float = 1.0,
    weight_u: float = 1.0,
) -> Tensor:
    """E[λ_y − v(x, y)] of KTO, eq. 8; ().

    Args:
        log_ratio: D(y) = log π_θ − log π_ref, summed over tokens; (B,).
        desirable: which responses are good; (B,) bool.
        z0: the reference point, an estimate of KL(π_θ‖π_ref) ≥ 0, without gradient; ().
        beta: risk aversion β.
        weight_d: λ_D.
        weight_u: λ_U.
    """
    sign = torch.where(desirable, 1.0, -1.0)  # (B,)
    weight = torch.where(desirable, weight_d, weight_u)  # (B,)
    return (weight * (1.0 - torch.sigmoid(sign * beta * (log_ratio - z0)))).mean()


@dataclass(frozen=True)
class KTO(OfflineMethod):
    """Kahneman–Tversky optimisation.

    Attributes:
        beta: risk aversion β: how soon the value saturates in the log-ratio.
        weight_d: λ_D, weight of desirable rows.
        weight_u: λ_U, weight of undesirable rows.
        label_rule: how scalar rewards become labels: above the prompt's mean, above the mean of all, or
            above zero. Whoever makes the examples applies it.
    """

    beta: float = 0.1
    weight_d: float = 1.0
    weight_u: float = 1.0
    label_rule: Literal["prompt_mean", "global_mean", "positive"] = "prompt_mean"

    name: ClassVar[str] = "kto"
    title: ClassVar[str] = "Kahneman–Tversky optimisation"
    paper: ClassVar[str] = "arXiv 2402.01306"
    equation: ClassVar[str] = (
        "L = E[λ_y − v],  v = λ_D σ(β(D − z0)) if desirable else λ_U σ(β(z0 − D)),  "
        "z0 = max(0, mean of D over mismatched pairs)"
    )
    axes: ClassVar[Axes] = Axes(
        "prompts of the data", "logged responses, labelled", "±λβσ(1−σ) at ±β(D − z0)"
    )
    strength_name: ClassVar[str] = "beta"
    default_strengths: ClassVar[tuple[float, ...]] = (0.5, 0.2, 0.1, 0.05, 0.02)

    @property
    def needs(self) -> frozenset[Need]:
        """Labels, and a mismatched partner for every row."""
        return frozenset({Need.LABEL, Need.KL_PARTNER})

    def statistic(self, batch: Batch) -> Tensor:
        """z0 = max(0, mean of log π_θ/π_ref over the optimiser batch's mismatched pairs); ()."""
        assert batch.partner_log_ratio is not None
        return batch.partner_log_ratio.mean().clamp(min=0).detach()

    def loss(self, batch: Batch) -> LossOutput:
        """The paper's loss, with what the two kinds of rows do beside it."""
        assert batch.desirable is not None
        assert batch.statistic is not None
        loss = kto_loss(
            batch.log_ratio, batch.desirable, batch.statistic, self.beta, self.weight_d, self.weight_u
        )
        log_ratio = batch.log_ratio.detach()
        logged = {"z0": batch.statistic}
        for label, mask in (("desirable", batch.desirable), ("undesirable", ~batch.desirable)):
            if mask.any():
                logged[f"log_ratio_{label}"] = log_ratio[mask].mean()
        return LossOutput(loss, logged)

    def coefficient(self, batch: Batch) -> Tensor:
        """±λβσ(1−σ): λβ/4 at the reference point, vanishing far from it."""
        assert batch.desirable is not None
        assert batch.statistic is not None
        sign = torch.where(batch.desirable, 1.0, -1.0)
        weight = torch.where(batch.desirable, self.weight_d, self.weight_u)
        sigma = torch.sigmoid(sign * self.beta * (batch.log_ratio.detach() - batch.statistic))
        return sign * weight * self.beta * sigma * (1 - sigma)
