"""DRO: direct reward optimisation, with a value network (DRO-V) or the batch's mean (DRO-P)."""

from dataclasses import dataclass
from typing import ClassVar, Literal, Self

from torch import Tensor

from trainers.objective import Axes, Batch, LossOutput, Need
from trainers.squared import SquaredObjective, squared_loss


@dataclass(frozen=True)
class DRO(SquaredObjective):
    """½ (r − V(x) − τ D(y))² over policy and value together (arXiv 2405.19107).

    The policy's gradient is rescaled by 1/τ and the value's is not, as in the paper's eq. 8. Algorithm 1
    prints the regulariser as ½ ∇D² where eq. 8 implies (τ/2) ∇D²; this is the latter.

    Attributes:
        tau: KL strength τ, in standard deviations of the reward per nat.
        baseline: "network", a separate one initialised from the reference (DRO-V), or "batch_mean" (DRO-P).
    """

    tau: float = 1.0
    baseline: Literal["network", "batch_mean"] = "network"

    name: ClassVar[str] = "dro"
    title: ClassVar[str] = "Direct reward optimisation"
    paper: ClassVar[str] = "arXiv 2405.19107"
    equation: ClassVar[str] = "L = ½ E[(r − V(x) − τ D(y))²], policy gradient × 1/τ"
    axes: ClassVar[Axes] = Axes("prompts of the data", "logged responses", "(r − V) − τD")

    @classmethod
    def batch_mean(cls) -> Self:
        """DRO-P."""
        return cls(baseline="batch_mean")

    @property
    def needs(self) -> frozenset[Need]:
        """Rewards, and for DRO-V a value network."""
        return frozenset({Need.REWARD, Need.VALUE} if self.baseline == "network" else {Need.REWARD})

    @property
    def scale(self) -> float:
        """1/τ: eq. 8's rescaling of the policy's gradient."""
        return 1 / self.tau

    @property
    def statistic_reads_policy(self) -> bool:
        """The batch mean of DRO-P depends on the policy's log-probs of the whole optimiser batch."""
        return self.baseline == "batch_mean"

    def statistic(self, batch: Batch) -> Tensor | None:
        """DRO-P's V: the mean of r − τD over the optimiser batch; ()."""
        if self.baseline == "network":
            return None
        # Its own gradient would cancel: Σ_i (u_i − ū) = 0.
        return (batch.reward - self.tau * batch.log_ratio.detach()).mean()

    def value(self, batch: Batch) -> Tensor:
        """The network's V(x), or the batch's mean."""
        value = batch.value if self.baseline == "network" else batch.statistic
        assert value is not None
        return value.detach()

    def loss(self, batch: Batch) -> LossOutput:
        """The policy's squared loss, and the value network's on the same residual."""
        policy = super().loss(batch)
        if batch.value is None or self.baseline == "batch_mean":
            return policy
        value = squared_loss(batch.log_ratio.detach(), batch.reward, batch.value, self.tau)
        logged = {"policy_loss": policy.loss.detach(), "value_loss": value.detach()}
        return LossOutput(policy.loss + value, policy.logged | logged)
