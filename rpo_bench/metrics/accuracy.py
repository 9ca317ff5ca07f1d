"""Accuracy and pass@k from a verifier's verdicts."""

from functools import partial

import numpy as np

from rpo_bench.metrics.protocol import SHARE, Summary
from rpo_bench.metrics.reward import Reward
from rpo_bench.stats.arrays import Floats
from rpo_bench.verifier import Verifier


class Verdicts(Reward):
    """A verifier's reward, published as mean reward, accuracy and pass@k.

    Args:
        function: The verifier.
        samples: n, the maximum samples per prompt; pass@k is published for k = 2, 4, 8 … up to n.
        backend: The verifier's name in results and messages; None: its own name.
    """

    unit = "share"
    bounds = SHARE

    def __init__(self, function: Verifier, samples: int, backend: str | None = None) -> None:
        super().__init__(function, backend=backend)
        self._ks = tuple(2**power for power in range(1, samples.bit_length()))

    @property
    def summaries(self) -> tuple[Summary, ...]:
        """Mean reward, accuracy (the same number under its usual name), and pass@k."""
        accuracy = Summary("accuracy", "share of samples", True, bounds=SHARE)
        passes = [
            Summary(f"pass_at_{k}", "share of prompts", True, partial(pass_at_k, k=k), SHARE, names_n=True)
            for k in self._ks
        ]
        return (*super().summaries, accuracy, *passes)


def pass_at_k(verdicts: Floats, k: int) -> Floats:
    """The probability that one of k samples is right, 1 − C(m − c, k)/C(m, k), for each prompt.

    This is unbiased for m ≥ k samples of which c are right (arXiv 2107.03374, eq. 1).

    Args:
        verdicts: 1 for right, 0 for wrong, NaN for unscored; (P, n).
        k: number of tries.

    Returns:
        (P,), NaN where a prompt has fewer than k scored samples.
    """
    scored = np.isfinite(verdicts).sum(axis=1)  # (P,)
    wrong = (verdicts == 0).sum(axis=1)
    drawn = np.arange(k)
    chances = np.maximum(wrong[:, None] - drawn, 0) / np.maximum(scored[:, None] - drawn, 1)  # (P, k)
    return np.where(scored >= k, 1.0 - chances.prod(axis=1), np.nan)
