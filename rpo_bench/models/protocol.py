"""The protocol that every model implements."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rpo_bench.data.row import Prompt
from rpo_bench.spec.sections import Decoding


@dataclass(frozen=True)
class Generation:
    """One sampled response.

    Attributes:
        prompt_id: The prompt's id.
        sample: 0 … n−1 within the prompt.
        text: The response, decoded without special tokens.
        token_ids: The sampled tokens, including the end token if sampled.
        finished: Whether it ended within the length limit.
    """

    prompt_id: str
    prompt: str
    sample: int
    text: str
    token_ids: tuple[int, ...]
    finished: bool


class Model(Protocol):
    """A policy that samples responses and computes log-probabilities of tokens."""

    @property
    def architecture(self) -> str:
        """Either "decoder" or "encoder-decoder"."""
        ...

    def generate(
        self, prompts: Sequence[Prompt], n: int, decoding: Decoding, seed: int, batch_size: int
    ) -> list[Generation]:
        """Samples n responses per prompt; ordered by prompt, then sample."""
        ...

    def token_logps(
        self, prompts: Sequence[str], responses: Sequence[Sequence[int]], batch_size: int
    ) -> list[NDArray[np.float32]]:
        """Log-probabilities (nats, temperature 1) of each response's tokens, one array (T_i,) each."""
        ...
