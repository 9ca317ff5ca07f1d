"""Rewards in units of their own deviation so far, within limits."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

RewardScaling = Literal["none", "running"]

_ROUNDING = 1e-12  # of the largest reward: equal rewards have a deviation of their mean's last digits


class RewardScale:
    """Divides rewards by the deviation of all rewards drawn in training so far, then clips them.

    The mean isn't subtracted: methods that compare responses to one prompt don't see it.

    Attributes:
        how: "running", or "none".
        clip: rewards are kept within ± this after scaling; None: as they are.
    """

    def __init__(self, how: RewardScaling, clip: float | None) -> None:
        """Starts without rewards."""
        self.how = how
        self.clip = clip
        self._count, self._mean, self._squares, self._largest = 0, 0.0, 0.0, 0.0

    @property
    def deviation(self) -> float:
        """The sample deviation so far; 1 where there is none but of rounding."""
        if self.how == "none" or self._count < 2:
            return 1.0
        found = math.sqrt(self._squares / (self._count - 1))
        return found if found > _ROUNDING * self._largest else 1.0

    def add(self, rewards: Sequence[float]) -> None:
        """Counts newly sampled rewards, by the pairwise update of Chan et al. (1979)."""
        new = torch.tensor(rewards, dtype=torch.float64)
        if not len(new):
            return
        mean, total = float(new.mean()), self._count + len(new)
        gap = mean - self._mean
        self._squares += float((new - mean).square().sum()) + gap**2 * self._count * len(new) / total
        self._mean += gap * len(new) / total
        self._count = total
        self._largest = max(self._largest, float(new.abs().max()))

    def apply(self, rewards: Tensor) -> Tensor:
        """The rewards scaled and clipped; the shape of ``rewards``."""
        scaled = rewards / self.deviation
        return scaled if self.clip is None else scaled.clamp(-self.clip, self.clip)

    def record(self) -> dict[str, float]:
        """For the training log, where rewards are scaled."""
        return {} if self.how == "none" else {"reward_deviation": self.deviation}

    def state(self) -> dict[str, Any]:
        """Plain values, for a checkpoint."""
        return {
            "count": self._count,
            "mean": self._mean,
            "squares": self._squares,
            "largest": self._largest,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Restores a ``state``."""
        self._count = int(state["count"])
        self._mean, self._squares = float(state["mean"]), float(state["squares"])
        self._largest = float(state["largest"])
