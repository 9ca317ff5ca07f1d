"""Rewards in units of their own deviation so far, within limits."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

RewardScaling = Literal["none", "running"]


class RewardScale:
    """Divides rewards by the deviation of all rewards sampled so far, then clips them.

    The mean isn't subtracted: methods that compare responses to one prompt don't see it.

    Attributes:
        how: "running", or "none".
        clip: rewards are kept within ± this after scaling; None: as they are.
    """

    def __init__(self, how: RewardScaling, clip: float | None) -> None:
        """Starts without rewards."""
        self.how = how
        self.clip = clip
        self._count, self._mean, self._squares = 0, 0.0, 0.0

    @property
    def deviation(self) -> float:
        """The sample deviation so far; 1 where there is none."""
        if self.how == "none" or self._count < 2:
            return 1.0
        return math.sqrt(self._squares / (self._count - 1)) or 1.0

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

    def apply(self, rewards: Tensor) -> Tensor:
        """The rewards scaled and clipped; the shape of ``rewards``."""
        scaled = rewards / self.deviation
        return scaled if self.clip is None else scaled.clamp(-self.clip, self.clip)

    def state(self) -> dict[str, Any]:
        """Plain values, for a checkpoint."""
        return {"count": self._count, "mean": self._mean, "squares": self._squares}

    def load(self, state: dict[str, Any]) -> None:
        """Restores a ``state``."""
        self._count = int(state["count"])
        self._mean, self._squares = float(state["mean"]), float(state["squares"])
