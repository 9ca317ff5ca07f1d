"""The squared loss that RPO, DRO and their kin share: ½ (r − V(x) − τ D(y))², for one V or another.

Its minimum over all policies, with V the optimal value, is π*(y|x) ∝ π_ref(y|x) e^{r/τ} (arXiv 2405.19107,
eq. 1–3). The methods differ in their estimator of V and in a constant factor.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from trainers.objective import Batch, LossOutput, OfflineMethod


def residual(log_ratio: Tensor, reward: Tensor, value: Tensor, tau: float) -> Tensor:
    """r − V(x) − τ D(y): what the optimal policy and value make zero; (B,).

    Args:
        log_ratio: D(y) = log π_θ − log π_ref of each response; (B,).
        reward: r(x, y); (B,).
        value: V(x) of each row's prompt, or one for all; (B,) or ().
        tau: KL strength, in units of reward per nat.
    """
    return reward - value - tau * log_ratio


def squared_loss(log_ratio: Tensor, reward: Tensor, value: Tensor, tau: float, scale: float = 1.0) -> Tensor:
    """scale · mean ½ (r − V − τ D)²; ().

    Its gradient coefficient is scale · τ · (r − V − τ D): with scale 1/τ that of DRO (eq. 8), with scale 1/τ²
    that of RPO.
    """
    return 0.5 * scale * residual(log_ratio, reward, value, tau).square().mean()


@dataclass(frozen=True)
class SquaredObjective(OfflineMethod):
    """A method of the family: says what V is and how the loss is scaled, and inherits the rest.

    Attributes:
        tau: KL strength τ, in units of the scaled reward per nat.
    """

    tau: float = 0.5

    strength_name: ClassVar[str] = "tau"
    default_strengths: ClassVar[tuple[float, ...]] = (2.0, 1.0, 0.5, 0.25, 0.125)
    zscore_rewards: ClassVar[bool] = True

    @property
    def scale(self) -> float:
        """The constant factor of the loss."""
        return 1.0

    @abstractmethod
    def value(self, batch: Batch) -> Tensor:
        """V(x) of each row, without gradient; (B,) or ()."""

    def log_ratio(self, batch: Batch) -> Tensor:
        """What stands for D(y); (B,)."""
        return batch.log_ratio

    def loss(self, batch: Batch) -> LossOutput:
        """scale · mean ½ (r − V − τ D)², with the mean of V beside it."""
        value = self.value(batch)
        loss = squared_loss(self.log_ratio(batch), batch.reward, value, self.tau, self.scale)
        return LossOutput(loss, {"value": value.mean()})

    def coefficient(self, batch: Batch) -> Tensor:
        """scale · τ · (r − V − τ D)."""
        gap = residual(self.log_ratio(batch), batch.reward, self.value(batch), self.tau)
        return self.scale * self.tau * gap.detach()
