"""Compares a backend's log-probabilities with those of transformers on the same tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rpo_bench.errors import UserError
from rpo_bench.models.backends.protocol import SampledResponse

#: Nats per token. For samples of another policy p, the mean is KL(p‖checkpoint) per token. Rounding gives
#: almost none (half its variance: 0.0002 in bfloat16).
MEAN_TOLERANCE = 0.005

#: Nats per token, mean absolute difference; about 0.02 in bfloat16.
ABSOLUTE_TOLERANCE = 0.2


@dataclass(frozen=True)
class LogpAgreement:
    """Differences of log-probabilities, backend minus transformers, over all sampled tokens.

    Attributes:
        tokens: Number of tokens.
        mean: Mean difference in nats per token.
        mean_abs: Mean absolute difference.
        max_abs: Largest absolute difference.
    """

    tokens: int
    mean: float
    mean_abs: float
    max_abs: float


def agreement(
    sampled: Sequence[SampledResponse], ours: Sequence[NDArray[np.float32]]
) -> LogpAgreement | None:
    """Compares the log-probabilities; None where the backend gave none.

    Args:
        sampled: N responses.
        ours: Log-probabilities of the same tokens from transformers; N arrays (T_i,).
    """
    pairs = [(one.logps, own) for one, own in zip(sampled, ours, strict=True) if one.logps]
    if not pairs:
        return None
    difference = np.concatenate([np.asarray(theirs) - np.asarray(own, np.float64) for theirs, own in pairs])
    absolute = np.abs(difference)
    return LogpAgreement(
        len(difference), float(difference.mean()), float(absolute.mean()), float(absolute.max())
    )


def check_agreement(found: LogpAgreement | None, folder: Path) -> None:
    """Raises UserError if the samples can't come from the checkpoint."""
    if found is None:
        return
    if abs(found.mean) <= MEAN_TOLERANCE and found.mean_abs <= ABSOLUTE_TOLERANCE:
        return
    raise UserError(
        f"The samples aren't those of {folder}: the backend's log-probabilities differ from the "
        f"checkpoint's by {found.mean:.3f} nats per token ({found.mean_abs:.3f} in absolute value), and "
        f"rounding explains at most {MEAN_TOLERANCE} ({ABSOLUTE_TOLERANCE}): check whether another or a "
        "quantised model is served."
    )
