"""RPO: reward partitioning optimisation, the squared loss with V estimated from the logged rewards."""

from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from trainers.examples import Examples
from trainers.objective import Axes, Batch, LossOutput, Method, Need
from trainers.partition import Partition, log_partition
from trainers.squared import residual, squared_loss


@dataclass(frozen=True)
class RPO(Method):
    """½ (D − (r − V̂)/τ)², V̂(x) = τ log Ẑ(x) from the prompt's logged rewards (arXiv 2506.13702).

    The default is the consistent form: Ẑ the mean of e^{r/τ} over responses sampled from the reference, D
    summed over tokens. ``RPO.released()`` is the released code's: mean log-probs everywhere, and Ẑ the sum
    over the K logged responses weighted by the reference's mean-token probability.

    Attributes:
        tau: KL strength τ, in standard deviations of the reward per nat.
        partition: the estimator of Z(x); see ``trainers.partition``.
        logp: "sum" over tokens, or "mean", in D and (for ``released``) in Ẑ.
    """

    tau: float = 0.5
    partition: Partition = "log_mean_exp"
    logp: Literal["sum", "mean"] = "sum"

    name: ClassVar[str] = "rpo"
    title: ClassVar[str] = "Reward partitioning optimisation"
    paper: ClassVar[str] = "arXiv 2506.13702"
    equation: ClassVar[str] = "L = ½ E[(D − (r − V̂)/τ)²],  V̂(x) = τ log Ẑ(x)"
    axes: ClassVar[Axes] = Axes("prompts of the data", "logged responses, by prompt", "(r − V̂)/τ − D")
    strength_name: ClassVar[str] = "tau"
    default_strengths: ClassVar[tuple[float, ...]] = (2.0, 1.0, 0.5, 0.25, 0.125)
    zscore_rewards: ClassVar[bool] = True

    @classmethod
    def released(cls) -> Self:
        """The released code's objective, with its τ."""
        return cls(tau=5.0, partition="released", logp="mean")

    @property
    def needs(self) -> frozenset[Need]:
        """Rewards and a partition, with what its estimator asks for."""
        extra = {
            "leave_one_out": {Need.GROUP},
            "reference_samples": {Need.REFERENCE_REWARDS},
            "self_normalised": {Need.BEHAVIOUR_LOGP},
        }
        return frozenset({Need.REWARD, Need.PARTITION} | extra.get(self.partition, set()))

    def log_partition(
        self, examples: Examples, reference_logps: NDArray[np.float64], lengths: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """The chosen estimator's log Ẑ(x); (N,)."""
        per_token = lengths if self.logp == "mean" else None
        return log_partition(self.partition, examples, self.tau, reference_logps, per_token)

    def loss(self, batch: Batch) -> LossOutput:
        """The squared loss over τ², with how far the rows are from their targets."""
        assert batch.log_partition is not None
        value = self.tau * batch.log_partition  # (B,)
        loss = squared_loss(self._log_ratio(batch), batch.reward, value, self.tau, 1 / self.tau**2)
        target = (batch.reward - value) / self.tau
        return LossOutput(loss, {"target": target.mean(), "value": value.mean()})

    def coefficient(self, batch: Batch) -> Tensor:
        """(r − V̂)/τ − D; with mean log-probs, of the mean and divided by |y|."""
        assert batch.log_partition is not None
        value = self.tau * batch.log_partition
        gap = residual(self._log_ratio(batch), batch.reward, value, self.tau).detach() / self.tau
        return gap if self.logp == "sum" else gap / batch.lengths

    def _log_ratio(self, batch: Batch) -> Tensor:
        return batch.log_ratio if self.logp == "sum" else batch.mean_log_ratio
