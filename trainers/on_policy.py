"""Whether rollouts have the log-probs that training computes of them, so that the ratio begins at 1."""

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from trainers.errors import UserError
from trainers.groups import Group, padded
from trainers.precision import LOG_RATIO_TOLERANCE, DType

#: Mean |Δ log-prob| per token between another engine and training: bfloat16 explains about 0.02.
_ENGINES_DIFFER = 0.2
_SHORT = 8  # tokens: a shorter response is allowed as much rounding as this many


class Mismatch:
    """|Δ log-prob| between single steps of sampling and whole passes of training, over the same weights."""

    def __init__(self) -> None:
        self._total, self._tokens, self._largest, self._worst = 0.0, 0, 0.0, 0.0

    @torch.no_grad()
    def add(self, sampled: Tensor, whole: Tensor, mask: Tensor) -> None:
        """Takes log-probs (B, T) of the same tokens; the mask is True where both count."""
        gaps = torch.where(mask, whole.detach().float() - sampled.float(), 0.0)
        lengths = mask.sum(1)
        self._total += float(gaps.abs().sum())
        self._tokens += int(lengths.sum())
        self._largest = max(self._largest, float(gaps.abs().max()))
        self._worst = max(self._worst, float((gaps.sum(1).abs() / lengths.clamp(min=_SHORT)).max()))

    def record(self) -> dict[str, float]:
        """For the training log, in nats per token."""
        if not self._tokens:
            return {}
        return {"logp_mismatch": self._total / self._tokens, "logp_mismatch_max": self._largest}

    def check(self, dtype: DType) -> None:
        """Before the first step: raises UserError where the difference is beyond what rounding explains."""
        bound = LOG_RATIO_TOLERANCE[dtype]
        if not self._worst <= bound:
            raise UserError(
                f"Before the first step sampling and training differ by {self._worst:.2g} nats per token; "
                f"rounding in {dtype} explains {bound:g}. The model's steps and whole passes disagree, so "
                "its rollouts aren't on-policy. Use --dtype float32, another --attn-implementation, or "
                "another model."
            )

    def check_engine(self) -> None:
        """Before the first step: raises UserError where another engine samples another policy."""
        check_engine(self._total / max(1, self._tokens))


def check_engine(mismatch: float) -> None:
    """Raises UserError if an engine's first log-probs, in nats per token, are off by more than rounding."""
    if not mismatch <= _ENGINES_DIFFER:
        raise UserError(
            f"Before the first step the engine that samples and training differ by {mismatch:.2g} nats per "
            f"token; rounding explains {_ENGINES_DIFFER:g} at most. It runs another policy: sample by hf."
        )


def rescored(
    groups: Sequence[Group], logps: Tensor, mismatch: Mismatch, weighted: bool = False
) -> list[Group]:
    """The groups with log-probs of whole passes, (B, T), in place of those that sampling gave.

    Args:
        groups: fresh ones.
        logps: of training passes; (B, T).
        mismatch: takes the differences.
        weighted: whether the groups keep the differences as log-weights: another engine sampled them.
    """
    sampled = [row for group in groups for row in group.behaviour_logps]
    whole = logps.cpu()
    lengths = torch.tensor([len(row) for row in sampled])
    mask = torch.arange(whole.shape[1])[None, :] < lengths[:, None]
    mismatch.add(padded(sampled, whole.shape[1]), whole, mask)
    rows = [row[:length].clone() for row, length in zip(whole, lengths.tolist(), strict=True)]
    gaps = [row - own for row, own in zip(rows, sampled, strict=True)]
    ends = np.cumsum([0, *(len(group.responses) for group in groups)]).tolist()
    parts = [slice(*pair) for pair in itertools.pairwise(ends)]
    return [
        dataclasses.replace(group, behaviour_logps=rows[part], log_weights=gaps[part] if weighted else None)
        for group, part in zip(groups, parts, strict=True)
    ]
