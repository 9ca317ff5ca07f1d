"""Samples for measuring: each prompt is read once, and finished responses leave the batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rpo_bench.models.inverse_cdf import pick, restrained, warped
from rpo_bench.spec.sections import Decoding
from trainers.inputs import TokenLayout
from trainers.sampling_ways import sampling_way
from trainers.stepping import started


@dataclass(frozen=True)
class Sampler:
    """A model with the settings for sampling.

    Attributes:
        model: The transformers model without a peft wrapper.
        layout: Padding token and the decoder's first token.
        end_ids: The tokens that end a response.
        decoding: How to sample.
    """

    model: Any
    layout: TokenLayout
    end_ids: tuple[int, ...]
    decoding: Decoding

    def sample(self, prompts: Sequence[list[int]], count: int, draws: NDArray[np.float64]) -> list[list[int]]:
        """Samples ``count`` responses to each of P prompts, in one batch.

        Args:
            prompts: Token ids of P prompts.
            count: Responses per prompt.
            draws: Uniform numbers; (P · count, T), T the length limit.

        Returns:
            P · count lists of token ids, each up to and including an end token, ordered by prompt.
        """
        rows, limit = draws.shape
        state = started(self.model, prompts, count, self.layout, sampling_way(self.model, self.layout))
        uniform = torch.from_numpy(draws).to(state.device)
        found: list[list[int]] = [[] for _ in range(rows)]
        active = list(range(rows))  # which response each row of the state is
        for position in range(limit):
            scores = state.logits.float()
            if self.decoding.restrains:
                read = [self._read(prompts[row // count], found[row]) for row in active]
                scores = restrained(self.decoding, read, scores)
            places = torch.tensor(active, device=state.device)
            tokens = pick(warped(self.decoding, scores), uniform[places, position])
            for row, token in zip(active, tokens.tolist(), strict=True):
                if not self._ended(found[row]):
                    found[row].append(token)
            live = [place for place, row in enumerate(active) if not self._ended(found[row])]
            if not live or position + 1 == limit:
                break
            if len(live) <= len(active) // 2:  # half of the work is for finished responses: leave them out
                kept = torch.tensor(live, device=state.device)
                active, tokens = [active[place] for place in live], tokens[kept]
                state.select(kept)
            state.advance(self.model, tokens)
        return found

    def _ended(self, tokens: list[int]) -> bool:
        return bool(tokens) and tokens[-1] in self.end_ids

    def _read(self, prompt: list[int], said: list[int]) -> list[int]:
        """The tokens that the repetition penalty and the n-gram ban look at."""
        start = self.layout.decoder_start_id
        return [*prompt, *said] if start is None else [start, *self.layout.beginning, *said]


def batches(order: list[int], n: int, size: int) -> Iterator[tuple[list[int], int, int]]:
    """Batches of at most ``size`` sequences: (prompt indices, first sample, samples per prompt)."""
    if n <= size:
        count = size // n
        for start in range(0, len(order), count):
            yield order[start : start + count], 0, n
    else:
        for index in order:
            for first in range(0, n, size):
                yield [index], first, min(size, n - first)
