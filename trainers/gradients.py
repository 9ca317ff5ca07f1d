"""Gradients in units of their own: no constant factor of a loss changes what an optimiser makes of them.

AdamW divides a gradient by its running size, so that a loss times a constant gives the same steps but for two
things: its epsilon, which is added to that size, and clipping to a fixed norm, which binds for a loss with
large gradients and not for one with small ones. Here both are relative. A gradient is divided by the norm of
the run's first one, and clipped at a multiple of the median of its own recent norms (as AutoClip does with
another quantile, arXiv 2007.14469).
"""

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from trainers.sharding import whole_tensor

Clipping = Literal["relative", "none", "absolute"]

_RECENT = 50  # steps whose norms make the median
_WARM_START = 10  # steps before anything is clipped
MULTIPLE = 3.0  # of the median: beyond it a gradient is an outlier


class GradientScale:
    """Scales and clips the gradients of one optimiser's parameters, step after step.

    Attributes:
        clipping: "relative" to the recent norms, "none", or "absolute", at ``max_norm``. The last is what
            version 0.1 did, and depends on the loss's scale; it leaves the gradients' unit as it is.
        max_norm: of absolute clipping.
        steps: how many were taken.
        clipped: how many of them were clipped.
    """

    def __init__(self, clipping: Clipping, max_norm: float) -> None:
        """Starts without a unit and without norms."""
        self.clipping = clipping
        self.max_norm = max_norm
        self.steps = 0
        self.clipped = 0
        self._unit = 0.0
        self._recent: list[float] = []

    @property
    def clipped_share(self) -> float:
        """Of all steps so far."""
        return self.clipped / max(1, self.steps)

    def apply(self, parameters: Sequence[Tensor]) -> float:
        """Scales the gradients in place, before the optimiser's step.

        Returns:
            Their norm as the loss gave it; where it isn't finite nothing is scaled.
        """
        gradients = [p.grad for p in parameters if p.grad is not None]
        total = whole_tensor(torch.nn.utils.get_total_norm(gradients))
        norm = float(total)
        if not math.isfinite(norm):
            return norm
        self.steps += 1
        if norm == 0.0:  # no news: groups rewarded alike, say; a median of zeros would stop what comes later
            return norm
        limit = self._limit()
        self.clipped += norm > limit
        if self.clipping == "absolute":
            torch.nn.utils.clip_grads_with_norm_(parameters, self.max_norm, total)
            return norm
        self._recent = [*self._recent, norm][-_RECENT:]
        self._unit = self._unit or norm
        torch._foreach_mul_(gradients, min(1.0, limit / norm) / self._unit)
        return norm

    def _limit(self) -> float:
        """The norm beyond which a gradient is clipped now."""
        if self.clipping == "absolute":
            return self.max_norm
        if self.clipping == "none" or len(self._recent) < _WARM_START:
            return float("inf")
        return MULTIPLE * statistics.median(self._recent)

    def state(self) -> dict[str, Any]:
        """Plain values, for a checkpoint."""
        return {
            "steps": self.steps,
            "clipped": self.clipped,
            "unit": self._unit,
            "recent": list(self._recent),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Restores a ``state``."""
        self.steps, self.clipped = int(state["steps"]), int(state["clipped"])
        self._unit, self._recent = float(state["unit"]), [float(norm) for norm in state["recent"]]


class GradientScales:
    """The scales of a policy and of the value network or critic beside it.

    Attributes:
        policy: of the policy's gradients.
        value: of the value network's.
    """

    def __init__(self, clipping: Clipping, max_norm: float) -> None:
        """Starts both alike."""
        self.policy = GradientScale(clipping, max_norm)
        self.value = GradientScale(clipping, max_norm)

    def apply(self, policy: Iterable[Tensor], value: Iterable[Tensor] | None) -> dict[str, float]:
        """Scales the gradients of both in place.

        Returns:
            What the log says of a step: the norms as the losses gave them, and the share of steps clipped.
        """
        logged = {"grad_norm": self.policy.apply(list(policy))}
        if value is not None:
            logged["value_grad_norm"] = self.value.apply(list(value))
        return logged | {"clipped": self.policy.clipped_share}

    def state(self) -> dict[str, Any]:
        """Plain values, for a checkpoint."""
        return {"policy": self.policy.state(), "value": self.value.state()}

    def load(self, state: dict[str, Any]) -> None:
        """Restores a ``state``."""
        self.policy.load(state["policy"])
        self.value.load(state["value"])
