"""How far a backend's log-probabilities are from those of transformers on the same tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rpo_bench.errors import UserError
from rpo_bench.models.backends.protocol import SampledResponse

#: Nats per token. Samples of another policy p have a mean of KL(p‖checkpoint) per token, rounding of number
#: formats next to none (half its variance: 0.0002 in bfloat16).
MEAN_TOLERANCE = 0.005

#: Nats per token, of the absolute values: some 0.02 in bfloat16.
ABSOLUTE_TOLERANCE = 0.2


@dataclass(frozen=True)
class LogpAgreement:
    """Differences of log-probabilities, backend's minus transformers', over all sampled tokens.

    Attributes:
        tokens: How many.
        mean: Their mean, in nats per token.
        mean_abs: The mean of their absolute values.
        max_abs: The largest absolute value.
    """

    tokens: int
    mean: float
    mean_abs: float
    max_abs: float


def agreement(
    sampled: Sequence[SampledResponse], ours: Sequence[NDArray[np.float32]]
) -> LogpAgreement | None:
    """Compares them; None where the backend gave no log-probabilities.

    Args:
        sampled: N responses.
        ours: The log-probabilities of the same tokens as transformers computes them, N arrays (T_i,).
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
    """Raises UserError where the samples can't come from the checkpoint."""
    if found is None:
        return
    if abs(found.mean) <= MEAN_TOLERANCE and found.mean_abs <= ABSOLUTE_TOLERANCE:
        return
    raise UserError(
        f"The samples aren't those of {folder}: the log-probabilities that came with them differ "
        f"from the checkpoint's by {found.mean:.3f} nats per token ({found.mean_abs:.3f} in absolute value), "
        f"where number formats explain {MEAN_TOLERANCE} ({ABSOLUTE_TOLERANCE}): is another model served, or "
        "one that is quantised?"
    )
