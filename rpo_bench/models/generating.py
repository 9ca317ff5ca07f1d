"""Samples from a transformers model in rounds; finished sequences leave the batch after each round."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rpo_bench.models.inverse_cdf import processors, restrained
from rpo_bench.spec.sections import Decoding
from trainers.equal_lengths import groups_of
from trainers.inputs import TokenLayout
from trainers.sampling_ways import Trial, first_right, sampling_way
from trainers.stepping import Way, Whole

#: New tokens in the first round; later rounds double the length.
_FIRST_ROUND = 12

_TRIAL_TOKENS = 3

_ways: WeakKeyDictionary[Any, dict[int, Way]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Sampler:
    """A model with the settings for sampling.

    Attributes:
        model: The transformers model without a peft wrapper.
        layout: Padding token and the decoder's first token.
        end_ids: The tokens that end a response.
        decoding: How to sample; ``max_new_tokens`` is set.
        batch_size: Sequences per batch.
    """

    model: Any
    layout: TokenLayout
    end_ids: tuple[int, ...]
    decoding: Decoding
    batch_size: int

    def sample(self, prompts: Sequence[list[int]], draws: NDArray[np.float64]) -> list[list[int]]:
        """Samples one response to each of b prompts, which may repeat.

        ``generate`` runs a whole batch until its last sequence ends. It is therefore called for a few tokens
        at a time, and unfinished sequences are batched again. Reading their tokens again is cheap.

        Args:
            prompts: Token ids of b prompts.
            draws: Uniform numbers, (b, max_new_tokens).

        Returns:
            b lists of token ids, each up to and including end-of-sequence.
        """
        way = self.way()
        alike = way.equal_lengths or self._reads_ids()
        extend = self._extend if way.cache else self._extend_uncached
        found: list[list[int]] = [[] for _ in prompts]
        active = list(range(len(prompts)))
        done = 0
        while active and done < draws.shape[1]:
            size = min(max(_FIRST_ROUND, done), draws.shape[1] - done)
            for rows in self._batches(active, [len(prompt) if alike else 0 for prompt in prompts]):
                uniform = draws[rows, done : done + size]
                new = extend([prompts[i] for i in rows], [found[i] for i in rows], uniform)
                for row, tokens in zip(rows, new, strict=True):
                    found[row] += tokens
            done += size
            active = [row for row in active if found[row][-1] not in self.end_ids]
        return found

    def way(self) -> Way:
        """The fastest sampling that agrees with a full forward pass: ``generate``, or without a cache."""
        known = _ways.setdefault(self.model, {})
        if self.layout.pad_id not in known:
            ways = [Way(), Way(equal_lengths=True)][int(self.layout.equal_lengths) :]
            found = None
            if sampling_way(self.model, self.layout).cache:  # otherwise generate may mix up the state
                with torch.no_grad():
                    found = first_right(self.model, self.layout, ways, self._try)
            known[self.layout.pad_id] = found or Way(cache=False)
        return known[self.layout.pad_id]

    def _try(self, prompts: list[list[int]], way: Way) -> Trial:
        """Generates a few tokens after each prompt greedily with ``generate``."""
        tokens: list[list[int]] = [[] for _ in prompts]
        logits: list[Tensor] = [torch.zeros(0)] * len(prompts)
        for rows in self._batches(range(len(prompts)), [len(p) if way.equal_lengths else 0 for p in prompts]):
            inputs, start = self._inputs([prompts[i] for i in rows], [[]] * len(rows))
            settings = self._settings(_TRIAL_TOKENS, plain=True)
            output = self.model.generate(**inputs, generation_config=settings)
            steps = torch.stack(output.logits, dim=1)  # (b, T, V)
            for row, said, own in zip(rows, output.sequences[:, start:].tolist(), steps, strict=True):
                tokens[row], logits[row] = said, own
        return tokens, torch.stack(logits)

    def _reads_ids(self) -> bool:
        """Whether the decoding depends on the tokens so far, including left padding."""
        settings = self.decoding
        return self.layout.decoder_start_id is None and (
            settings.repetition_penalty != 1 or settings.no_repeat_ngram_size > 0
        )

    def _batches(self, rows: Sequence[int], keys: Sequence[int]) -> Iterator[list[int]]:
        """Batches of rows with equal keys."""
        for group in groups_of([keys[row] for row in rows]):
            for start in range(0, len(group), self.batch_size):
                yield [rows[place] for place in group[start : start + self.batch_size]]

    def _extend(
        self, prompts: list[list[int]], so_far: list[list[int]], uniform: NDArray[np.float64]
    ) -> list[list[int]]:
        """Up to T further tokens of b unfinished responses of equal length; uniform is (b, T)."""
        inputs, start = self._inputs(prompts, so_far)
        draws = torch.from_numpy(uniform).to(self.model.device)
        output = self.model.generate(
            **inputs,
            generation_config=self._settings(uniform.shape[1]),
            logits_processor=processors(self.decoding, draws, start),
        )
        return [_until_end(row, self.end_ids) for row in output[:, start:].tolist()]

    def _extend_uncached(
        self, prompts: list[list[int]], so_far: list[list[int]], uniform: NDArray[np.float64]
    ) -> list[list[int]]:
        """Like ``_extend``, for models with another kind of cache: each step reads the whole sequence."""
        state = Whole(self.model, prompts, self.layout, so_far)
        first = self.layout.decoder_start_id
        start = [] if first is None else [first, *self.layout.beginning]
        draws = torch.from_numpy(uniform).to(state.device)
        pickers = processors(self.decoding, draws, 0)
        new = torch.zeros(len(prompts), 0, dtype=torch.long, device=state.device)  # (b, t)
        while True:
            said = [[*(start or prompt), *one] for prompt, one in zip(state.prompts, state.said, strict=True)]
            scores = restrained(self.decoding, said, state.logits)
            new = torch.cat([new, pickers(new, scores).argmax(-1, keepdim=True)], dim=1)
            rows = [_until_end(row, self.end_ids) for row in new.tolist()]
            if new.shape[1] == uniform.shape[1] or all(row[-1] in self.end_ids for row in rows):
                return rows
            state.advance(self.model, new[:, -1])

    def _inputs(self, prompts: list[list[int]], so_far: list[list[int]]) -> tuple[dict[str, Any], int]:
        """The inputs of generate, and the number of tokens that it returns before the first new one."""
        if self.layout.decoder_start_id is None:
            rows = [prompt + tokens for prompt, tokens in zip(prompts, so_far, strict=True)]
            ids, mask = self._padded(rows, left=True)  # (b, S)
            return {"input_ids": ids, "attention_mask": mask}, ids.shape[1]
        distinct = {tuple(prompt): place for place, prompt in enumerate(dict.fromkeys(map(tuple, prompts)))}
        ids, mask = self._padded([list(prompt) for prompt in distinct], left=False)
        states = self.model.get_encoder()(input_ids=ids, attention_mask=mask)  # each prompt once
        where = torch.tensor([distinct[tuple(prompt)] for prompt in prompts], device=ids.device)  # (b,)
        states.last_hidden_state = states.last_hidden_state[where]
        beginning = [self.layout.decoder_start_id, *self.layout.beginning]
        decoder = torch.tensor([[*beginning, *tokens] for tokens in so_far])
        inputs = {
            "encoder_outputs": states,
            "attention_mask": mask[where],
            "decoder_input_ids": decoder.to(ids.device),
        }
        return inputs, decoder.shape[1]

    def _settings(self, new_tokens: int, plain: bool = False) -> Any:
        """The config for ``generate``; ``plain``: without end tokens, with all logits."""
        from transformers import GenerationConfig

        settings = {
            "repetition_penalty": self.decoding.repetition_penalty,
            "no_repeat_ngram_size": self.decoding.no_repeat_ngram_size,
            "eos_token_id": list(self.end_ids),
        }
        return GenerationConfig(
            do_sample=False,  # the last logits processor leaves a single token
            num_beams=1,
            max_new_tokens=new_tokens,
            pad_token_id=self.layout.pad_id,
            decoder_start_token_id=self.layout.decoder_start_id,
            use_cache=True,
            **({"output_logits": True, "return_dict_in_generate": True} if plain else settings),
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
    """Blocks of at most ``size`` sequences: (prompt indices, first sample, samples per prompt)."""
    if n <= size:
        count = size // n
        for start in range(0, len(order), count):
            yield order[start : start + count], 0, n
    else:
        for index in order:
            for first in range(0, n, size):
                yield [index], first, min(size, n - first)


def _until_end(tokens: list[int], ends: tuple[int, ...]) -> list[int]:
    """The tokens up to and including the first end token; the rest is padding."""
    first = next((place for place, token in enumerate(tokens) if token in ends), len(tokens))
    return tokens[: first + 1]
