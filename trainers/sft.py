"""SFT: maximum likelihood on the best logged responses."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainers.examples import Examples
from trainers.objective import Axes, Batch, LossOutput, Need, OfflineMethod


@dataclass(frozen=True)
class SFT(OfflineMethod):
    """Supervised fine-tuning on the best of the first k responses to each prompt.

    Attributes:
        k: how many of a prompt's logged responses the best is chosen from; 1 imitates the data.
    """

    k: int = 4

    name: ClassVar[str] = "sft"
    title: ClassVar[str] = "Supervised fine-tuning on best-of-k"
    paper: ClassVar[str] = "—"
    equation: ClassVar[str] = "L = −E log π_θ(y*|x),  y* the best of k logged responses"
    axes: ClassVar[Axes] = Axes("prompts of the data", "best of k logged responses", "1")
    strength_name: ClassVar[str] = "k"
    strength_selects: ClassVar[bool] = True
    default_strengths: ClassVar[tuple[float, ...]] = (1, 2, 4, 8)

    @property
    def needs(self) -> frozenset[Need]:
        """Rewards to select by; k = 1 imitates the data regardless of quality."""
        return frozenset({Need.REWARD} if self.k > 1 else ())

    def rows(self, examples: Examples) -> NDArray[np.int64]:
        """The best of the first k rows of every group, in the order of the data; (G,)."""
        best: dict[int, int] = {}
        seen: dict[int, int] = {}
        for row, group in enumerate(examples.groups.tolist()):
            seen[group] = seen.get(group, 0) + 1
            if seen[group] > self.k:
                continue
            if group not in best or examples.rewards[row] > examples.rewards[best[group]]:
                best[group] = row
        return np.array(sorted(best.values()), dtype=np.int64)

    def loss(self, batch: Batch) -> LossOutput:
        """Negative log-likelihood of the sequence, in nats per response."""
        return LossOutput(
            -batch.policy_logps.mean(),
            {"nats_per_token": (-batch.policy_logps / batch.lengths).mean().detach()},
        )

    def coefficient(self, batch: Batch) -> Tensor:
        """1 for every row."""
        return torch.ones_like(batch.reward)
