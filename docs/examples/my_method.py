"""Advantage-weighted regression: imitate every logged response, the better ones more (arXiv 1910.00177)."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from rpo_bench.methods import METHODS
from trainers import OfflineMethod
from trainers.objective import Axes, Batch, LossOutput, Need


@dataclass(frozen=True)
class AWR(OfflineMethod):
    """Maximum likelihood weighted by w = min(e^{r/τ}, clip).

    Attributes:
        tau: KL strength τ, in standard deviations of the reward per nat.
        clip: the largest weight, so that no single row takes over a batch.
    """

    tau: float = 1.0
    clip: float = 20.0

    name: ClassVar[str] = "awr"
    title: ClassVar[str] = "Advantage-weighted regression"
    paper: ClassVar[str] = "arXiv 1910.00177"
    equation: ClassVar[str] = "L = −E[w log π_θ(y|x)],  w = min(e^{r/τ}, clip)"
    axes: ClassVar[Axes] = Axes("prompts of the data", "logged responses", "min(e^{r/τ}, clip)")
    strength_name: ClassVar[str] = "tau"
    default_strengths: ClassVar[tuple[float, ...]] = (4.0, 2.0, 1.0, 0.5)
    zscore_rewards: ClassVar[bool] = True

    @property
    def needs(self) -> frozenset[Need]:
        """Rewards."""
        return frozenset({Need.REWARD})

    def loss(self, batch: Batch) -> LossOutput:
        """−mean w log π."""
        return LossOutput(-(self.coefficient(batch) * batch.policy_logps).mean())

    def coefficient(self, batch: Batch) -> Tensor:
        """W, by which log π is pushed up."""
        return (batch.reward / self.tau).exp().clamp(max=self.clip)


METHODS.add("awr", AWR)
