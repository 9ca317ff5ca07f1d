"""BCO: binary classifier optimisation on desirable and undesirable responses (arXiv 2404.04656)."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from trainers.objective import Axes, Batch, LossOutput, Need, OfflineMethod


@dataclass(frozen=True)
class BCO(OfflineMethod):
    """A logistic classifier of desirable responses, whose logit is βD − δ.

    Attributes:
        beta: β, the scale of the log-ratio.
        label_rule: how scalar rewards become labels, as in ``trainers.kto``.
    """

    beta: float = 0.1
    label_rule: Literal["prompt_mean", "global_mean", "positive"] = "prompt_mean"

    name: ClassVar[str] = "bco"
    title: ClassVar[str] = "Binary classifier optimisation"
    paper: ClassVar[str] = "arXiv 2404.04656"
    equation: ClassVar[str] = (
        "L = −E log σ(±(βD − δ)), + if desirable;  δ = ½ (mean of βD if desirable + mean of βD if not)"
    )
    axes: ClassVar[Axes] = Axes("prompts of the data", "logged responses, labelled", "±βσ(∓(βD − δ))")
    strength_name: ClassVar[str] = "beta"
    default_strengths: ClassVar[tuple[float, ...]] = (1.0, 0.5, 0.2, 0.1, 0.05)

    @property
    def needs(self) -> frozenset[Need]:
        """Labels."""
        return frozenset({Need.LABEL})

    @property
    def statistic_reads_policy(self) -> bool:
        """δ is of the current policy."""
        return True

    def statistic(self, batch: Batch) -> Tensor:
        """δ of the optimiser batch, without gradient; (). A batch of one kind has that kind's mean."""
        assert batch.desirable is not None
        scaled = self.beta * batch.log_ratio.detach()
        kinds = [scaled[kind] for kind in (batch.desirable, ~batch.desirable) if kind.any()]
        return torch.stack([kind.mean() for kind in kinds]).mean()

    def loss(self, batch: Batch) -> LossOutput:
        """The classifier's cross-entropy."""
        assert batch.desirable is not None
        assert batch.statistic is not None
        logits = self.beta * batch.log_ratio - batch.statistic
        loss = F.binary_cross_entropy_with_logits(logits, batch.desirable.to(logits.dtype))
        return LossOutput(loss, {"delta": batch.statistic})

    def coefficient(self, batch: Batch) -> Tensor:
        """β(1 − σ(βD − δ)) if desirable, else −βσ(βD − δ); (B,)."""
        assert batch.desirable is not None
        assert batch.statistic is not None
        chance = torch.sigmoid(self.beta * batch.log_ratio.detach() - batch.statistic)
        return self.beta * (batch.desirable.to(chance.dtype) - chance)
