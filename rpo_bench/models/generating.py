"""Samples from a transformers model, in rounds: what has ended makes room before the rest goes on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rpo_bench.models.sampling import processors
from rpo_bench.spec import Decoding
from trainers.logps import TokenLayout

#: New tokens of the first round; later ones double what there is.
_FIRST_ROUND = 12


@dataclass(frozen=True)
class Sampler:
    """A model with what is needed to sample from it.

    Attributes:
        model: The transformers model itself, without a peft wrapper around it.
        layout: Padding token and the decoder's first token.
        end_ids: The tokens that end a response.
        decoding: How to sample; ``max_new_tokens`` is set.
        batch_size: Sequences that are sampled at a time.
    """

    model: Any
    layout: TokenLayout
    end_ids: tuple[int, ...]
    decoding: Decoding
    batch_size: int

    def sample(self, prompts: Sequence[list[int]], draws: NDArray[np.float64]) -> list[list[int]]:
        """Samples one response to each of b prompts (of which many may be the same).

        ``generate`` computes a whole batch until its last sequence ends. So it is called for a few tokens
        at a time, and the sequences that go on are put together again; reading again what they have so far
        is cheap beside that.

        Args:
            prompts: Token ids of b prompts.
            draws: Uniform numbers, (b, max_new_tokens).

        Returns:
            b lists of token ids, each up to and including end-of-sequence.
        """
        found: list[list[int]] = [[] for _ in prompts]
        active = list(range(len(prompts)))
        done = 0
        while active and done < draws.shape[1]:
            size = min(max(_FIRST_ROUND, done), draws.shape[1] - done)
            for start in range(0, len(active), self.batch_size):
                rows = active[start : start + self.batch_size]
                uniform = draws[rows, done : done + size]
                new = self._extend([prompts[i] for i in rows], [found[i] for i in rows], uniform)
                for row, tokens in zip(rows, new, strict=True):
                    found[row] += tokens
            done += size
            active = [row for row in active if found[row][-1] not in self.end_ids]
        return found

    def _extend(
        self, prompts: list[list[int]], so_far: list[list[int]], uniform: NDArray[np.float64]
    ) -> list[list[int]]:
        """Up to T further tokens of b unfinished responses, all equally long so far; uniform is (b, T)."""
        inputs, start = self._inputs(prompts, so_far)
        draws = torch.from_numpy(uniform).to(self.model.device)
        output = self.model.generate(
            **inputs,
            generation_config=self._settings(uniform.shape[1]),
            logits_processor=processors(self.decoding, draws, start),
        )
        return [_until_end(row, self.end_ids) for row in output[:, start:].tolist()]

    def _inputs(self, prompts: list[list[int]], so_far: list[list[int]]) -> tuple[dict[str, Any], int]:
        """What generate is given, and the tokens that it returns before the first new one."""
        if self.layout.decoder_start_id is None:
            rows = [prompt + tokens for prompt, tokens in zip(prompts, so_far, strict=True)]
            ids, mask = self._padded(rows, left=True)  # (b, S)
            return {"input_ids": ids, "attention_mask": mask}, ids.shape[1]
        distinct = {tuple(prompt): place for place, prompt in enumerate(dict.fromkeys(map(tuple, prompts)))}
        ids, mask = self._padded([list(prompt) for prompt in distinct], left=False)
        states = self.model.get_encoder()(input_ids=ids, attention_mask=mask)  # each prompt once
        where = torch.tensor([distinct[tuple(prompt)] for prompt in prompts], device=ids.device)  # (b,)
        states.last_hidden_state = states.last_hidden_state[where]
        decoder = torch.tensor([[self.layout.decoder_start_id, *tokens] for tokens in so_far])
        inputs = {
            "encoder_outputs": states,
            "attention_mask": mask[where],
            "decoder_input_ids": decoder.to(ids.device),
        }
        return inputs, decoder.shape[1]

    def _settings(self, new_tokens: int) -> Any:
        from transformers import GenerationConfig

        return GenerationConfig(
            do_sample=False,  # the last logits processor leaves one token to choose from
            num_beams=1,
            max_new_tokens=new_tokens,
            repetition_penalty=self.decoding.repetition_penalty,
            no_repeat_ngram_size=self.decoding.no_repeat_ngram_size,
            pad_token_id=self.layout.pad_id,
            eos_token_id=list(self.end_ids),
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


def blocks(order: list[int], n: int, size: int) -> Iterator[tuple[list[int], int, int]]:
    """Blocks of at most ``size`` sequences: (indices of prompts, first sample, samples of each)."""
    if n <= size:
        count = size // n
        for start in range(0, len(order), count):
            yield order[start : start + count], 0, n
    else:
        for index in order:
            for first in range(0, n, size):
                yield [index], first, min(size, n - first)


def _until_end(tokens: list[int], ends: tuple[int, ...]) -> list[int]:
    """The tokens up to and including the first one that ends a response; what follows it is padding."""
    first = next((place for place, token in enumerate(tokens) if token in ends), len(tokens))
    return tokens[: first + 1]
