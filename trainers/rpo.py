"""RPO: reward partitioning optimisation, the squared loss with V estimated from the logged rewards."""

from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from trainers.examples import Examples
from trainers.objective import Axes, Batch, Need
from trainers.partition import Partition, log_partition
from trainers.squared import SquaredObjective


@dataclass(frozen=True)
class RPO(SquaredObjective):
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

    @property
    def scale(self) -> float:
        """1/τ²: the loss is in nats², not in rewards²."""
        return 1 / self.tau**2

    def value(self, batch: Batch) -> Tensor:
        """V̂(x) = τ log Ẑ(x)."""
        assert batch.log_partition is not None
        return self.tau * batch.log_partition

    def log_ratio(self, batch: Batch) -> Tensor:
        """D(y), or D(y)/|y|."""
        return batch.log_ratio if self.logp == "sum" else batch.mean_log_ratio

    def coefficient(self, batch: Batch) -> Tensor:
        """(r − V̂)/τ − D; with mean log-probs, of the mean and divided by |y|."""
        gap = super().coefficient(batch)
        return gap if self.logp == "sum" else gap / batch.lengths
