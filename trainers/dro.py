"""DRO: direct reward optimisation, with a value network (DRO-V) or the batch's mean (DRO-P)."""

from dataclasses import dataclass
from typing import ClassVar, Literal, Self

from torch import Tensor

from trainers.objective import Axes, Batch, LossOutput, Method, Need
from trainers.squared import residual, squared_loss


@dataclass(frozen=True)
class DRO(Method):
    """½ (r − V(x) − τ D(y))² over policy and value together (arXiv 2405.19107).

    The policy's gradient is rescaled by 1/τ and the value's is not, as in the paper's eq. 8. Algorithm 1
    prints the regulariser as ½ ∇D² where eq. 8 implies (τ/2) ∇D²; this is the latter.

    Attributes:
        tau: KL strength τ, in standard deviations of the reward per nat.
        value: "network", a separate one initialised from the reference (DRO-V), or "batch_mean" (DRO-P).
    """

    tau: float = 1.0
    value: Literal["network", "batch_mean"] = "network"

    name: ClassVar[str] = "dro"
    title: ClassVar[str] = "Direct reward optimisation"
    paper: ClassVar[str] = "arXiv 2405.19107"
    equation: ClassVar[str] = "L = ½ E[(r − V(x) − τ D(y))²], policy gradient × 1/τ"
    axes: ClassVar[Axes] = Axes("prompts of the data", "logged responses", "(r − V) − τD")
    strength_name: ClassVar[str] = "tau"
    default_strengths: ClassVar[tuple[float, ...]] = (2.0, 1.0, 0.5, 0.25, 0.125)
    zscore_rewards: ClassVar[bool] = True

    @classmethod
    def batch_mean(cls) -> Self:
        """DRO-P."""
        return cls(value="batch_mean")

    @property
    def needs(self) -> frozenset[Need]:
        """Rewards, and for DRO-V a value network."""
        return frozenset({Need.REWARD, Need.VALUE} if self.value == "network" else {Need.REWARD})

    @property
    def statistic_reads_policy(self) -> bool:
        """The batch mean of DRO-P depends on the policy's log-probs of the whole optimiser batch."""
        return self.value == "batch_mean"

    def statistic(self, batch: Batch) -> Tensor | None:
        """DRO-P's V: the mean of r − τD over the optimiser batch; ()."""
        if self.value == "network":
            return None
        # Its own gradient would cancel: Σ_i (u_i − ū) = 0.
        return (batch.reward - self.tau * batch.log_ratio.detach()).mean()

    def loss(self, batch: Batch) -> LossOutput:
        """The policy's squared loss, and the value network's on the same residual."""
        if self.value == "batch_mean":
            assert batch.statistic is not None
            loss = squared_loss(batch.log_ratio, batch.reward, batch.statistic, self.tau, 1 / self.tau)
            return LossOutput(loss, {"value": batch.statistic})
        assert batch.value is not None
        policy = squared_loss(batch.log_ratio, batch.reward, batch.value.detach(), self.tau, 1 / self.tau)
        value = squared_loss(batch.log_ratio.detach(), batch.reward, batch.value, self.tau)
        logged = {"policy_loss": policy.detach(), "value_loss": value.detach(), "value": batch.value.mean()}
        return LossOutput(policy + value, {name: tensor.detach() for name, tensor in logged.items()})

    def coefficient(self, batch: Batch) -> Tensor:
        """(r − V) − τD."""
        value = batch.value if self.value == "network" else batch.statistic
        assert value is not None
        return residual(batch.log_ratio, batch.reward, value, self.tau).detach()
