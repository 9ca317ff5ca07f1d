"""A*-PO: V* from reference samples first, regression on it second (arXiv 2505.20686)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from trainers.examples import Examples
from trainers.objective import Axes, Batch, Need
from trainers.partition import log_partition
from trainers.squared import SquaredObjective


@dataclass(frozen=True)
class AStarPO(SquaredObjective):
    """(β₂ D − (r − V*))² with V* = β₁ log mean_n e^{r_n/β₁} over reference samples; offline stage.

    With β₁ = β₂ = τ this is 2τ² times RPO's loss under ``reference_samples``.

    Attributes:
        tau: β₂.
        value_tau: β₁; None: equal to β₂.
    """

    value_tau: float | None = None

    name: ClassVar[str] = "a-star-po"
    title: ClassVar[str] = "Optimal-advantage policy optimisation (offline stage)"
    paper: ClassVar[str] = "arXiv 2505.20686"
    equation: ClassVar[str] = "L = E[(τD − (r − V*))²],  V* = β₁ log mean_n e^{r_n/β₁}"
    axes: ClassVar[Axes] = Axes("prompts of the data", "logged responses", "2τ(r − V* − τD)")

    @property
    def needs(self) -> frozenset[Need]:
        """Rewards of the rows, and of reference samples."""
        return frozenset({Need.REWARD, Need.PARTITION, Need.REFERENCE_REWARDS})

    @property
    def scale(self) -> float:
        """2: the paper's square has no ½."""
        return 2.0

    def log_partition(
        self, examples: Examples, reference_logps: NDArray[np.float64], lengths: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """log mean_n e^{r_n/β₁}; (N,)."""
        return log_partition("reference_samples", examples, self._beta1, reference_logps)

    def value(self, batch: Batch) -> Tensor:
        """V*(x)."""
        assert batch.log_partition is not None
        return self._beta1 * batch.log_partition

    @property
    def _beta1(self) -> float:
        return self.tau if self.value_tau is None else self.value_tau
