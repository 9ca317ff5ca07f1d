"""The Hugging Face backend for decoder-only and encoder-decoder models and LoRA adapters."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from rpo_bench.data.row import Prompt
from rpo_bench.errors import UserError, first_line
from rpo_bench.models.generating import Sampler, batches
from rpo_bench.models.inverse_cdf import uniforms
from rpo_bench.models.loading import AUTOCAST, LoadOptions, load_checkpoint
from rpo_bench.models.positions import Positions, positions_of
from rpo_bench.models.prompting import closing, prompt_ids, response_texts
from rpo_bench.models.protocol import Generation
from rpo_bench.models.quiet import quiet
from rpo_bench.spec.sections import Decoding, LoadingSpec, PromptFormat
from trainers.inputs import TokenLayout, collate
from trainers.layouts import checked_layout
from trainers.logps import first_token_logps, token_logps
from trainers.memory import RowsAtOnce
from trainers.sampling_ways import sampling_way

_TOKENS_PER_PASS = 16_384  # of log-probs, padding included


@dataclass(frozen=True)
class HFModel:
    """A policy that implements ``rpo_bench.models.protocol.Model``.

    Attributes:
        model: The transformers model (or peft model), in evaluation mode while it is used.
        tokenizer: Its tokenizer.
        path: Its source, for messages.
        adapter_of: The base model's path if ``model`` has an adapter that can be switched off, which gives
            the reference. None if the adapter changed the base model itself.
        adapter_on: Whether that adapter is active.
        prompt_format: The prompt format; None: prompts are used as they are.
        autocast: Whether passes are in bfloat16, over float32 weights.
    """

    model: Any
    tokenizer: Any
    path: str = "the model in memory"
    adapter_of: str | None = None
    adapter_on: bool = True
    prompt_format: PromptFormat | None = None
    autocast: bool = False

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        dtype: str = "float32",
        device: str | None = None,
        allow_pickle: bool = False,
        trust_remote_code: bool = False,
        loading: LoadingSpec | None = None,
        prompt_format: PromptFormat | None = None,
    ) -> Self:
        """Loads a model folder, a LoRA adapter folder (with its base model), or a hub model.

        ``loading`` has further settings and overrides ``dtype``.

        Raises:
            UserError: Something is missing, unreadable or incompatible; the message says what.
        """
        with quiet():
            options = LoadOptions(dtype, device, allow_pickle, trust_remote_code)
            if loading is not None:
                options = replace(
                    options,
                    dtype=loading.dtype,
                    attn_implementation=loading.attn_implementation,
                    device_map=loading.device_map,
                    quantization=loading.quantization,
                )
            loaded = load_checkpoint(path, options)
        return cls(
            loaded.model,
            loaded.tokenizer,
            str(path),
            loaded.adapter_of,
            prompt_format=prompt_format,
            autocast=options.dtype == AUTOCAST,
        )

    @property
    def is_encoder_decoder(self) -> bool:
        """Whether the prompt goes to an encoder."""
        return bool(self.model.config.is_encoder_decoder)

    @property
    def architecture(self) -> str:
        """Either "decoder" or "encoder-decoder"."""
        return "encoder-decoder" if self.is_encoder_decoder else "decoder"

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device: torch.device = self.model.device
        return device

    @property
    def pad_id(self) -> int:
        """The padding token: the tokenizer's own, else end-of-sequence.

        Padding is masked by position, not by value. It may therefore equal end-of-sequence, and a padding
        token that the policy samples still counts.
        """
        pad = self.tokenizer.pad_token_id
        return int(self.tokenizer.eos_token_id if pad is None else pad)

    @property
    def positions(self) -> Positions:
        """The model's limits in tokens."""
        limits = positions_of(self.model.config)
        if not self.is_encoder_decoder or limits.response is None:
            return limits
        beginning = TokenLayout.of(self._inner, self.pad_id, self.tokenizer).beginning
        return replace(limits, response=limits.response - len(beginning))

    @property
    def context(self) -> int | None:
        """The context length in tokens; None where positions are relative (T5)."""
        return self.positions.prompt

    def without_adapter(self) -> Self:
        """The reference of an adapter: the same model with the adapter switched off."""
        if self.adapter_of is None:
            raise UserError(
                f"{self.path} is not an adapter, or it changed its base model: it has no own reference."
            )
        return replace(self, adapter_on=False)

    def check(self) -> None:
        """Tests how rows can be batched and how to sample from the model; later calls use the result.

        Raises:
            UserError: The model can't be run, or a row's output depends on the other rows of its batch.
        """
        try:
            with self.evaluating():
                sampling_way(self._inner, self._layout)
        except UserError:
            raise
        except Exception as error:  # a model's own code may raise anything
            first = first_line(error)
            raise UserError(f"{self.path} can't be run: {type(error).__name__}: {first}.") from error

    def encode(self, prompt: str) -> list[int]:
        """The prompt's token ids."""
        return prompt_ids(self.tokenizer, prompt, self.is_encoder_decoder, self.prompt_format)

    @property
    def end_ids(self) -> tuple[int, ...]:
        """The tokens that end a response."""
        return closing(self.tokenizer, self.prompt_format).ends

    def texts(self, responses: Sequence[Sequence[int]]) -> list[str]:
        """The texts of responses, without special tokens and the end token."""
        end = closing(self.tokenizer, self.prompt_format)
        return response_texts(self.tokenizer, end.ends, responses, end.gap)

    def generate(
        self, prompts: Sequence[Prompt], n: int, decoding: Decoding, seed: int, batch_size: int
    ) -> list[Generation]:
        """Samples n responses per prompt; ordered by prompt, then sample.

        A sample depends only on (model, prompt, seed, decoding, sample number). It doesn't depend on the
        batch (up to rounding), the other prompts, n, or torch's global generator. The checkpoint's
        ``generation_config`` isn't used, and no token is suppressed.

        Args:
            prompts: P prompts with distinct ``prompt_id``.
            n: Samples per prompt.
            decoding: How to sample; ``max_new_tokens`` must be set.
            seed: Seed of the random numbers; all policies share them.
            batch_size: Sequences per batch.

        Returns:
            P · n generations; ``token_ids`` end with an end token or are cut at the length limit.
        """
        if decoding.max_new_tokens is None:
            raise UserError("Generation needs a length limit: set max_new_tokens.")
        if len({prompt.prompt_id for prompt in prompts}) != len(prompts):
            raise UserError("Two prompts have the same prompt_id: make the ids unique.")
        encoded = [self.encode(prompt.text) for prompt in prompts]
        for prompt, ids in zip(prompts, encoded, strict=True):
            self._check_length(prompt.prompt_id, len(ids), decoding.max_new_tokens)
        found: dict[tuple[int, int], Generation] = {}
        order = sorted(range(len(prompts)), key=lambda index: len(encoded[index]))  # stable
        sampler = Sampler(self._inner, self._layout, self.end_ids, decoding)
        with self.evaluating():
            for indices, first, count in batches(order, n, batch_size):
                names = [prompts[index].prompt_id for index in indices]
                draws = [uniforms(seed, name, first, count, decoding.max_new_tokens) for name in names]
                rows = sampler.sample([encoded[index] for index in indices], count, np.concatenate(draws))
                texts = self.texts(rows)
                for row, (tokens, text) in enumerate(zip(rows, texts, strict=True)):
                    index, sample = indices[row // count], first + row % count
                    found[index, sample] = self._generation(prompts[index], sample, tokens, text)
        return [found[index, sample] for index in range(len(prompts)) for sample in range(n)]

    def token_logps(
        self, prompts: Sequence[str], responses: Sequence[Sequence[int]], batch_size: int
    ) -> list[NDArray[np.float32]]:
        """Log-probabilities (nats, temperature 1) of each response's tokens.

        Args:
            prompts: N prompts.
            responses: Token ids of N responses, end-of-sequence included where it was sampled.
            batch_size: Sequences per forward pass.

        Returns:
            N arrays, (T_i,) each.
        """
        encoded = {text: self.encode(text) for text in dict.fromkeys(prompts)}
        sizes = [len(encoded[text]) + len(tokens) for text, tokens in zip(prompts, responses, strict=True)]
        self._check_responses(prompts, responses, encoded)
        layout = self._layout
        result: list[NDArray[np.float32]] = [np.zeros(0, dtype=np.float32)] * len(responses)
        order = [index for index in np.argsort(sizes, kind="stable") if len(responses[index])]

        def read(indices: Sequence[int]) -> NDArray[np.float32]:
            contexts, said = [encoded[prompts[i]] for i in indices], [responses[i] for i in indices]
            batch = collate(contexts, said, layout).to(self.device)
            return np.asarray(token_logps(self._inner, batch).cpu().numpy())  # (b, T)

        def passes(indices: Sequence[int], size: int) -> list[tuple[Sequence[int], NDArray[np.float32]]]:
            parts = [indices[i : i + size] for i in range(0, len(indices), size)]
            return [(part, read(part)) for part in parts]

        at_once = RowsAtOnce()
        with self.evaluating():
            for indices in _batches(order, sizes, batch_size):
                for part, values in at_once.run(len(indices), 1, partial(passes, indices)):
                    for row, index in enumerate(part):
                        result[index] = values[row, : len(responses[index])]
        return result

    def next_token_logps(
        self, prompts: Sequence[str], tokens: Sequence[int], batch_size: int
    ) -> NDArray[np.float64]:
        """Log-probabilities (nats, temperature 1) of tokens as the first one after each prompt.

        Args:
            prompts: N prompts.
            tokens: K token ids.
            batch_size: Sequences per forward pass.

        Returns:
            (N, K).
        """
        encoded = [self.encode(text) for text in prompts]
        found = np.zeros((len(prompts), len(tokens)))
        order = np.argsort([len(ids) for ids in encoded], kind="stable")
        with self.evaluating():
            for start in range(0, len(order), batch_size):
                rows = order[start : start + batch_size]
                contexts = [encoded[i] for i in rows]
                batch = collate(contexts, [[tokens[0]]] * len(rows), self._layout).to(self.device)
                found[rows] = first_token_logps(self._inner, batch)[:, list(tokens)].cpu().numpy()
        return found

    @property
    def _inner(self) -> Any:
        """The transformers model, which holds the LoRA layers, without peft's wrapper."""
        return self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model

    @property
    def _layout(self) -> TokenLayout:
        """The layout of rows, verified on the model at the first use."""
        return checked_layout(
            self._inner, TokenLayout.of(self._inner, self.pad_id, self.tokenizer), self.path
        )

    def _generation(self, prompt: Prompt, sample: int, tokens: list[int], text: str) -> Generation:
        finished = tokens[-1] in self.end_ids
        return Generation(prompt.prompt_id, prompt.text, sample, text, tuple(tokens), finished)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """A block of passes: no gradients, no dropout, no adapter where it is off, and the number format."""
        inner = self._inner
        training = inner.training
        inner.eval()
        try:
            if self.adapter_of is not None and not self.adapter_on:
                with quiet(), torch.no_grad(), self._passes(), self.model.disable_adapter():
                    yield
            else:
                with quiet(), torch.no_grad(), self._passes():
                    yield
        finally:
            inner.train(training)

    def _passes(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, torch.bfloat16) if self.autocast else nullcontext()

    def _check_length(self, name: str, length: int, response: int) -> None:
        limits = self.positions
        if self.is_encoder_decoder and limits.response is not None and response > limits.response:
            raise UserError(
                f"Prompt {name!r}: a response of {response} tokens doesn't fit the decoder of {self.path}, "
                f"which has positions for {limits.response}: lower max_new_tokens."
            )
        room = 0 if self.is_encoder_decoder else response
        if limits.prompt is not None and length + room > limits.prompt:
            raise UserError(
                f"Prompt {name!r} has {length} tokens and, with {room} for the response, doesn't fit the "
                f"context of {self.path} ({limits.prompt}): shorten it or lower max_new_tokens."
            )

    def _check_responses(
        self, prompts: Sequence[str], responses: Sequence[Sequence[int]], encoded: dict[str, list[int]]
    ) -> None:
        rows = self._inner.get_input_embeddings().weight.shape[0]
        for text, tokens in zip(prompts, responses, strict=True):
            if len(tokens) and not 0 <= min(tokens) <= max(tokens) < rows:
                raise UserError(f"A response has the token id {max(tokens)}, which {self.path} doesn't have.")
            self._check_length(text[:60], len(encoded[text]), len(tokens))


def _batches(order: Sequence[int], sizes: Sequence[int], most: int) -> Iterator[Sequence[int]]:
    """Rows of ascending length that share a pass: ``most`` at most, of a bounded number of tokens."""
    start = 0
    while start < len(order):
        count = most
        while count > 1 and count * sizes[order[min(start + count, len(order)) - 1]] > _TOKENS_PER_PASS:
            count //= 2
        yield order[start : start + count]
        start += count
