"""One batch of samples from a transformers model."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rpo_bench.models.sampling import processors
from rpo_bench.spec import Decoding
from trainers.logps import TokenLayout


@dataclass(frozen=True)
class Sampler:
    """A model with what is needed to sample from it.

    Attributes:
        model: The transformers model itself, without a peft wrapper around it.
        layout: Padding token and the decoder's first token.
        eos_id: The token that ends a response.
    """

    model: Any
    layout: TokenLayout
    eos_id: int

    def sample(
        self, prompts: list[list[int]], count: int, decoding: Decoding, draws: NDArray[np.float64]
    ) -> list[list[int]]:
        """Samples ``count`` responses for each of b prompts.

        Args:
            prompts: Token ids of b prompts.
            count: Responses per prompt.
            decoding: How to sample; ``max_new_tokens`` is set.
            draws: Uniform numbers, (b · count, max_new_tokens).

        Returns:
            b · count lists of token ids, each up to and including end-of-sequence.
        """
        inputs, start = self._inputs(prompts, count)
        uniform = torch.from_numpy(draws).to(self.model.device)
        output = self.model.generate(
            **inputs,
            generation_config=self._settings(decoding),
            logits_processor=processors(decoding, uniform, start),
        )
        return [_until_end(row, self.eos_id) for row in output[:, start:].tolist()]

    def _inputs(self, prompts: list[list[int]], count: int) -> tuple[dict[str, Any], int]:
        """What generate is given, each prompt ``count`` times, and the tokens before the first new one."""
        decoder_only = self.layout.decoder_start_id is None
        ids, mask = self._padded(prompts, left=decoder_only)  # (b, S)
        inputs: dict[str, Any] = {"attention_mask": mask.repeat_interleave(count, 0)}
        if decoder_only:
            inputs["input_ids"] = ids.repeat_interleave(count, 0)
            return inputs, ids.shape[1]
        encoded = self.model.get_encoder()(input_ids=ids, attention_mask=mask)
        encoded.last_hidden_state = encoded.last_hidden_state.repeat_interleave(count, 0)
        inputs["encoder_outputs"] = encoded
        return inputs, 1

    def _settings(self, decoding: Decoding) -> Any:
        from transformers import GenerationConfig

        return GenerationConfig(
            do_sample=False,  # the last logits processor leaves one token to choose from
            num_beams=1,
            max_new_tokens=decoding.max_new_tokens,
            repetition_penalty=decoding.repetition_penalty,
            no_repeat_ngram_size=decoding.no_repeat_ngram_size,
            pad_token_id=self.layout.pad_id,
            eos_token_id=self.eos_id,
            decoder_start_token_id=self.layout.decoder_start_id,
            use_cache=True,
        )

    def _padded(self, rows: list[list[int]], left: bool) -> tuple[Tensor, Tensor]:
        """Token ids and mask, both (b, S), on the model's device."""
        width = max(map(len, rows))
        ids = torch.full((len(rows), width), self.layout.pad_id)
        mask = torch.zeros_like(ids)
        for row, tokens in enumerate(rows):
            where = slice(width - len(tokens), None) if left else slice(len(tokens))
            ids[row, where] = torch.tensor(tokens)
            mask[row, where] = 1
        return ids.to(self.model.device), mask.to(self.model.device)


def batches(order: list[int], n: int, batch_size: int) -> Iterator[tuple[list[int], int, int]]:
    """Batches of at most ``batch_size`` sequences: (indices of prompts, first sample, samples of each)."""
    if n <= batch_size:
        size = batch_size // n
        for start in range(0, len(order), size):
            yield order[start : start + size], 0, n
    else:
        for index in order:
            for first in range(0, n, batch_size):
                yield [index], first, min(batch_size, n - first)


def _until_end(tokens: list[int], eos: int) -> list[int]:
    """The tokens up to and including the first end-of-sequence; what follows it is padding."""
    return tokens[: tokens.index(eos) + 1] if eos in tokens else tokens
