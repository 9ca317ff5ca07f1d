"""QRPO: quantile rewards, whose partition function is known exactly (arXiv 2507.08068)."""

import dataclasses
import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainers.errors import UserError
from trainers.examples import Examples
from trainers.objective import Axes, Batch, Need
from trainers.squared import SquaredObjective


@dataclass(frozen=True)
class QRPO(SquaredObjective):
    """(R_q − β log Z − β D)², R_q the share of the reference's rewards that are ≤ r.

    Under the reference R_q is uniform, so Z is known: β (e^{1/β} − 1) for R_q itself, β/(β+1) for log R_q.

    Attributes:
        tau: β of the paper, in quantiles per nat.
        transform: of the quantile: "identity" or "log".
        quantiles: where the reference's rewards come from: samples beside the data, or the prompt's own rows
            (right when they were sampled from the reference, and coarse when they are few).
    """

    tau: float = 0.3
    transform: Literal["identity", "log"] = "identity"
    quantiles: Literal["reference_rewards", "group"] = "reference_rewards"

    name: ClassVar[str] = "qrpo"
    title: ClassVar[str] = "Quantile reward policy optimisation"
    paper: ClassVar[str] = "arXiv 2507.08068"
    equation: ClassVar[str] = "L = E[(R_q − β log Z − βD)²],  Z = β(e^{1/β} − 1)"
    axes: ClassVar[Axes] = Axes("prompts of the data", "logged responses", "2β(R_q − β log Z − βD)")
    default_strengths: ClassVar[tuple[float, ...]] = (0.8, 0.4, 0.2, 0.1, 0.05)
    zscore_rewards: ClassVar[bool] = False

    @property
    def needs(self) -> frozenset[Need]:
        """Rewards, and what to rank them among."""
        among = Need.REFERENCE_REWARDS if self.quantiles == "reference_rewards" else Need.GROUP
        return frozenset({Need.REWARD, among})

    @property
    def scale(self) -> float:
        """2: the paper's square has no ½."""
        return 2.0

    def transformed(self, examples: Examples) -> Examples:
        """The rows with R_q, or its logarithm, as their rewards."""
        samples = self._samples(examples)
        pairs = zip(examples.rewards, examples.groups.tolist(), strict=True)
        quantiles = np.array([_mid_quantile(reward, samples[group]) for reward, group in pairs])
        return dataclasses.replace(
            examples, rewards=quantiles if self.transform == "identity" else np.log(quantiles)
        )

    def value(self, batch: Batch) -> Tensor:
        """β log Z, exactly."""
        return torch.full_like(batch.reward, beta_log_partition(self.tau, self.transform))

    def _samples(self, examples: Examples) -> dict[int, NDArray[np.float64]]:
        """Group → the rewards that its rows are ranked among."""
        if self.quantiles == "group":
            order = np.argsort(examples.groups, kind="stable")
            groups, starts = np.unique(examples.groups[order], return_index=True)
            return dict(zip(groups.tolist(), np.split(examples.rewards[order], starts[1:]), strict=True))
        known = examples.reference_rewards or {}
        if set(examples.groups.tolist()) - set(known):
            raise UserError("qrpo needs reference_rewards for every prompt; a prompt has none.")
        return known


def beta_log_partition(beta: float, transform: str) -> float:
    """β log Z of a uniform quantile: identity 1 + β log β + β log(1 − e^{−1/β}); log β log(β/(β+1))."""
    if transform == "identity":
        return 1 + beta * math.log(beta) + beta * math.log1p(-math.exp(-1 / beta))
    return beta * math.log(beta / (beta + 1))


def _mid_quantile(reward: float, sample: NDArray[np.float64]) -> float:
    """Share of the sample below the reward, ties counted half, kept inside (0, 1) so that its log exists."""
    below = float((sample < reward).sum()) + 0.5 * float((sample == reward).sum())
    return (below + 0.5) / (len(sample) + 1)
