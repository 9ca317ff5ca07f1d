"""REBEL: regression of reward differences on log-ratio differences (arXiv 2404.16767)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainers.examples import Examples
from trainers.objective import Axes, Batch, LossOutput, Need, OfflineMethod
from trainers.pairs import Pairing, make_pairs


@dataclass(frozen=True)
class REBEL(OfflineMethod):
    """((D_1 − D_2) − (r_1 − r_2)/τ)², τ = 1/η of the paper; the reference is what sampled the data.

    Attributes:
        tau: 1/η, in standard deviations of the reward per nat.
        pairing: how pairs are made; "adjacent" keeps them independent and doesn't select by reward.
    """

    tau: float = 1.0
    pairing: Pairing = "adjacent"

    name: ClassVar[str] = "rebel"
    title: ClassVar[str] = "Regression to relative rewards"
    paper: ClassVar[str] = "arXiv 2404.16767"
    equation: ClassVar[str] = "L = E[((D_1 − D_2) − (r_1 − r_2)/τ)²]"
    axes: ClassVar[Axes] = Axes(
        "prompts of the data", "two logged responses", "±2((r_1 − r_2)/τ − (D_1 − D_2))"
    )
    strength_name: ClassVar[str] = "tau"
    default_strengths: ClassVar[tuple[float, ...]] = (2.0, 1.0, 0.5, 0.25, 0.125)
    zscore_rewards: ClassVar[bool] = True

    @property
    def needs(self) -> frozenset[Need]:
        """Two rewarded responses to a prompt."""
        return frozenset({Need.REWARD, Need.PAIR})

    def pairs(self, examples: Examples) -> NDArray[np.int64]:
        """Rows of the two responses; (M, 2)."""
        return make_pairs(examples, self.pairing)

    def loss(self, batch: Batch) -> LossOutput:
        """The squared loss on P pairs."""
        return LossOutput(self._gap(batch).square().mean())

    def coefficient(self, batch: Batch) -> Tensor:
        """±2((r_1 − r_2)/τ − (D_1 − D_2)); (2P,)."""
        pull = 2 * self._gap(batch).detach()
        return torch.cat([pull, -pull])

    def _gap(self, batch: Batch) -> Tensor:
        first, second = batch.log_ratio.chunk(2)
        reward_1, reward_2 = batch.reward.chunk(2)
        return (reward_1 - reward_2) / self.tau - (first - second)  # (P,)
