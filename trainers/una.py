"""UNA: the squared loss with V = 0."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from trainers.objective import Axes, Batch, Need
from trainers.squared import SquaredObjective


@dataclass(frozen=True)
class UNA(SquaredObjective):
    """½ (D − r/τ)²: the implicit reward τD is fitted to the reward itself, with no value to take off.

    The zero of V matters: with z-scored rewards V* > 0, so the fixed point is not the optimum but where the
    policy's normalisation lets it go. The ablation's end point, not a recommendation.
    """

    name: ClassVar[str] = "una"
    title: ClassVar[str] = "Unified alignment (V = 0)"
    paper: ClassVar[str] = "arXiv 2408.15339"
    equation: ClassVar[str] = "L = ½ E[(D − r/τ)²]"
    axes: ClassVar[Axes] = Axes("prompts of the data", "logged responses", "r/τ − D")

    @property
    def needs(self) -> frozenset[Need]:
        """Rewards."""
        return frozenset({Need.REWARD})

    @property
    def scale(self) -> float:
        """1/τ², as RPO's."""
        return 1 / self.tau**2

    def value(self, batch: Batch) -> Tensor:
        """0."""
        return torch.zeros_like(batch.reward)
