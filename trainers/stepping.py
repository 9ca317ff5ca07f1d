"""Generations in progress: the next token's logits, one step at a time, for any cache or none."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from trainers.equal_lengths import groups_of
from trainers.head import last_logits_only
from trainers.inputs import TokenLayout, collate
from trainers.logps import last_token_logps

_CACHES = ("past_key_values", "cache_params")  # what models call it


@dataclass(frozen=True)
class Way:
    """How a model is stepped.

    Attributes:
        cache: whether what was read is kept rather than read again at each step.
        equal_lengths: whether prompts may be stepped together only where they are equally long.
    """

    cache: bool = True
    equal_lengths: bool = False


class State(Protocol):
    """b responses in progress."""

    @property
    def logits(self) -> Tensor:
        """Of the next token, up to a constant; (b, V)."""

    @property
    def device(self) -> torch.device:
        """Where they are."""

    def advance(self, model: Any, tokens: Tensor) -> None:
        """Feeds one token (b,) to each response."""

    def select(self, rows: Tensor) -> None:
        """Keeps some responses, in ascending order."""


def started(model: Any, prompts: Sequence[Sequence[int]], count: int, layout: TokenLayout, way: Way) -> State:
    """``count`` responses to each of P prompts, before their first token; b = P · count."""
    if not way.cache:
        return Whole(model, [list(prompt) for prompt in prompts for _ in range(count)], layout)
    if not way.equal_lengths:
        return _cached(model, prompts, count, layout)
    parts = []
    for group in groups_of([len(prompt) for prompt in prompts]):
        places = [prompt * count + sample for prompt in group for sample in range(count)]
        parts.append((places, _cached(model, [prompts[i] for i in group], count, layout)))
    return _Several([(torch.tensor(places, device=state.device), state) for places, state in parts])


class _Cached:
    """Steps with a cache, repeated and pruned by what reorders it for beams, which all kinds have."""

    def __init__(
        self, output: Any, mask: Tensor, positions: Tensor | None, given: dict[str, Any], logits: Tensor
    ) -> None:
        self.name = next(name for name in _CACHES if getattr(output, name, None) is not None)
        self.cache = getattr(output, self.name)
        self.mask = mask  # (b, S): of the context so far, or of the encoder's input
        self.positions = positions  # (b,): of the next token; None where the model takes none
        self.given = given  # encoder_outputs of an encoder-decoder
        self.logits = logits
        self.device = logits.device

    def advance(self, model: Any, tokens: Tensor) -> None:
        if self.given:
            inputs = {**self.given, "decoder_input_ids": tokens[:, None]}
        else:
            self.mask = torch.cat([self.mask, self.mask.new_ones(len(tokens), 1)], dim=1)
            inputs = {"input_ids": tokens[:, None]}
            if self.positions is not None:
                inputs["position_ids"] = self.positions[:, None]
                self.positions = self.positions + 1
        if self.name == "past_key_values":  # a state has no positions to mask
            inputs["attention_mask"] = self.mask
        output = model(**inputs, **{self.name: self.cache}, use_cache=True)
        self.cache = getattr(output, self.name)
        self.logits = output.logits[:, -1]

    def select(self, rows: Tensor) -> None:
        self.cache.reorder_cache(rows)
        self.mask = self.mask[rows]
        if self.positions is not None:
            self.positions = self.positions[rows]
        for encoded in self.given.values():
            encoded.last_hidden_state = encoded.last_hidden_state[rows]


def _cached(model: Any, prompts: Sequence[Sequence[int]], count: int, layout: TokenLayout) -> _Cached:
    """Encodes each prompt once and gives every response its copy of the cache."""
    device = next(model.parameters()).device
    width = max(len(prompt) for prompt in prompts)
    left = layout.decoder_start_id is None
    ids = torch.full((len(prompts), width), layout.pad_id)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        where = slice(width - len(prompt), None) if left else slice(len(prompt))
        ids[row, where] = torch.as_tensor(prompt)
        mask[row, where] = 1
    ids, mask = ids.to(device), mask.to(device)
    copies = torch.arange(len(prompts), device=device).repeat_interleave(count)  # (b,)
    if layout.decoder_start_id is not None:
        encoded = model.get_encoder()(input_ids=ids, attention_mask=mask)
        encoded.last_hidden_state = encoded.last_hidden_state[copies]
        beginning = torch.tensor([[layout.decoder_start_id, *layout.beginning]], device=device)
        start = beginning.expand(len(copies), -1)
        given = {"encoder_outputs": encoded}
        output = model(**given, attention_mask=mask[copies], decoder_input_ids=start, use_cache=True)
        return _Cached(output, mask[copies], None, given, output.logits[:, -1])
    placed = {}
    if "position_ids" in inspect.signature(model.forward).parameters:
        placed = {"position_ids": (mask.cumsum(1) - 1).clamp(min=0)}
    with last_logits_only(model):
        output = model(input_ids=ids, attention_mask=mask, **placed, use_cache=True)
    positions = mask.sum(1)[copies] if placed else None
    found = _Cached(output, mask[copies], positions, {}, output.logits[:, -1][copies])
    found.cache.reorder_cache(copies)
    return found


class Whole:
    """Steps without a cache: each step reads the whole sequence so far, padded on the right."""

    def __init__(
        self,
        model: Any,
        prompts: Sequence[list[int]],
        layout: TokenLayout,
        said: Sequence[list[int]] | None = None,
    ) -> None:
        """Takes prompts and the responses so far."""
        self.prompts = list(prompts)
        self.said = [list(one) for one in said or [[]] * len(prompts)]
        self.layout = layout
        self.device = next(model.parameters()).device
        self.logits = self._read(model)

    def advance(self, model: Any, tokens: Tensor) -> None:
        """Feeds one token (b,) to each response."""
        for said, token in zip(self.said, tokens.tolist(), strict=True):
            said.append(token)
        self.logits = self._read(model)

    def select(self, rows: Tensor) -> None:
        """Keeps some responses."""
        kept = rows.tolist()
        self.prompts = [self.prompts[i] for i in kept]
        self.said = [self.said[i] for i in kept]

    def _read(self, model: Any) -> Tensor:
        answers = [[*said, self.layout.pad_id] for said in self.said]  # the last token isn't read
        return last_token_logps(model, collate(self.prompts, answers, self.layout).to(self.device))


class _Several:
    """Responses to prompts of several lengths, each length stepped by itself."""

    def __init__(self, parts: list[tuple[Tensor, _Cached]]) -> None:
        self.parts = parts  # the places of a part's responses among all, ascending
        self.device = parts[0][1].device

    @property
    def logits(self) -> Tensor:
        order = torch.cat([places for places, _ in self.parts]).argsort()
        return torch.cat([state.logits for _, state in self.parts])[order]

    def advance(self, model: Any, tokens: Tensor) -> None:
        for places, state in self.parts:
            state.advance(model, tokens[places])

    def select(self, rows: Tensor) -> None:
        size = sum(len(places) for places, _ in self.parts)
        new = torch.full((size,), -1, device=rows.device)
        new[rows] = torch.arange(len(rows), device=rows.device)
        kept = []
        for places, state in self.parts:
            own = (new[places] >= 0).nonzero()[:, 0]
            if len(own):
                state.select(own)
                kept.append((new[places[own]], state))
        self.parts = kept
