"""Several sequences in one row of a batch: next to no padding, where a model keeps them apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainers.head import LogpScore, Score, scores_at
from trainers.inputs import TokenLayout

_NOBODY = -1  # the owner of padding


@dataclass(frozen=True)
class Packing:
    """Which sequences share a row.

    Attributes:
        rows: the places of each row's sequences; R rows.
        widths: tokens of a row: of prompt and response together; for an encoder-decoder model of prompts, and
            of the decoder's inputs.
    """

    rows: list[list[int]]
    widths: tuple[int, ...]

    def cost(self, width: int) -> float:
        """Of a pass, in tokens of a pass without attention; ``width`` is the model's."""
        return len(self.rows) * sum(side * attention_cost(side, width) for side in self.widths)


def attention_cost(length: int, width: int) -> float:
    """What attention over a row makes of a token's cost: 4 · length · width to 12 · width² each layer."""
    return 1 + length / (3 * width)


def packing(prompts: NDArray[np.int64], responses: NDArray[np.int64], layout: TokenLayout) -> Packing:
    """Few rows that hold all sequences.

    Args:
        prompts: tokens of each prompt; (N,).
        responses: tokens of each response; (N,).
        layout: whether one row holds both.
    """
    if layout.decoder_start_id is None:
        lengths = prompts + responses
        widths: tuple[int, ...] = (int(lengths.max()),)
        return Packing(packed_rows(lengths[:, None], widths), widths)
    decoded = responses + len(layout.beginning)
    width = int(decoded.max())
    # As wide as the prompts of a row of responses are together, so that both sides fill up alike.
    widths = (max(int(prompts.max()), round(width * prompts.sum() / decoded.sum())), width)
    return Packing(packed_rows(np.stack([prompts, decoded], axis=1), widths), widths)


def packed_rows(lengths: NDArray[np.int64], widths: Sequence[int]) -> list[list[int]]:
    """The longest first, each in the first row that has room.

    Args:
        lengths: tokens of each sequence on each side, none above its width; (N, D).
        widths: of a row on each side; (D,).
    """
    rows: list[list[int]] = [[] for _ in lengths]
    free = np.tile(np.array(widths), (len(lengths), 1))  # (N, D): a row for each sequence is enough
    for place in np.argsort(-lengths.sum(axis=1), kind="stable").tolist():
        row = int((free >= lengths[place]).all(axis=1).argmax())
        rows[row].append(place)
        free[row] -= lengths[place]
    return [row for row in rows if row]


@dataclass(frozen=True)
class PackedInputs:
    """Packed rows as a model reads them, and where their n response tokens are.

    Attributes:
        forward: keyword arguments of the model's forward pass.
        places: of the positions that predict response tokens, in the flattened rows; (n,).
        cells: of these tokens in the flattened (B, T); (n,).
        targets: the response tokens; (n,).
        shape: B sequences, and T tokens of the longest response.
        plain_head: as of the layout.
    """

    forward: dict[str, Any]
    places: Tensor
    cells: Tensor
    targets: Tensor
    shape: tuple[int, int]
    plain_head: bool

    def by_sequence(self, numbers: Tensor) -> Tensor:
        """A number of each response token, at its place in (B, T); zero beyond each response's end."""
        count, longest = self.shape
        return numbers.new_zeros(count * longest).index_copy(0, self.cells, numbers).view(self.shape)


def packed_inputs(
    model: Any,
    prompts: Sequence[Sequence[int]],
    responses: Sequence[Sequence[int]],
    chosen: Packing,
    layout: TokenLayout,
    device: torch.device,
) -> PackedInputs:
    """Sequences that share rows; of an encoder-decoder model the encoder has read them.

    Args:
        model: a transformers model for which ``layouts.keeps_apart`` holds.
        prompts: token ids; B of them.
        responses: token ids, end-of-sequence included; B of them.
        chosen: which of them share a row.
        layout: padding and decoder start.
        device: of the model.
    """
    if layout.decoder_start_id is None:
        sequences = [[*p, *r] for p, r in zip(prompts, responses, strict=True)]
        side = _Side.of(sequences, chosen.rows, chosen.widths[0], layout.pad_id).to(device)
        forward = {"input_ids": side.ids, "position_ids": side.positions}
        firsts = [len(prompt) - 1 for prompt in prompts]
    else:
        start = (layout.decoder_start_id, *layout.beginning)
        read = _Side.of(prompts, chosen.rows, chosen.widths[0], layout.pad_id).to(device)
        side = _Side.of([[*start, *r[:-1]] for r in responses], chosen.rows, chosen.widths[1], layout.pad_id)
        side = side.to(device)
        forward = _encoded(model, read, side)
        firsts = [len(layout.beginning)] * len(responses)
    longest = max(len(response) for response in responses)
    places = [side.starts[i] + first + np.arange(len(responses[i])) for i, first in enumerate(firsts)]
    cells = [i * longest + np.arange(len(response)) for i, response in enumerate(responses)]
    where, cell = (torch.from_numpy(np.concatenate(found)).to(device) for found in (places, cells))
    targets = torch.tensor([token for response in responses for token in response], device=device)
    return PackedInputs(forward, where, cell, targets, (len(prompts), longest), layout.plain_head)


def packed_logps(model: Any, packed: PackedInputs, temperature: float = 1.0) -> Tensor:
    """log π(y_t | x, y_<t) in nats, in float32; (B, T), zero beyond each response's end."""
    return packed.by_sequence(packed_scores(model, packed, LogpScore(temperature))[:, 0])


def packed_scores(model: Any, packed: PackedInputs, score: Score) -> Tensor:
    """Numbers of the response tokens; (n, k)."""
    return scores_at(model, packed.forward, packed.places, packed.targets, score, chunks=packed.plain_head)


@dataclass(frozen=True)
class _Side:
    """Packed rows of token ids.

    Attributes:
        ids: (R, W).
        positions: of each token in its sequence; padding counts as a sequence of its own; (R, W).
        owners: the sequence of each token, ``_NOBODY`` for padding; (R, W).
        starts: where each sequence begins in the flattened rows; (B,).
    """

    ids: Tensor
    positions: Tensor
    owners: Tensor
    starts: NDArray[np.int64]

    @classmethod
    def of(
        cls, sequences: Sequence[Sequence[int]], rows: Sequence[Sequence[int]], width: int, pad_id: int
    ) -> "_Side":
        ids = np.full((len(rows), width), pad_id, dtype=np.int64)
        positions = np.empty((len(rows), width), dtype=np.int64)
        owners = np.full((len(rows), width), _NOBODY, dtype=np.int64)
        starts = np.empty(len(sequences), dtype=np.int64)
        for number, row in enumerate(rows):
            begin = 0
            for i in row:
                end = begin + len(sequences[i])
                ids[number, begin:end] = sequences[i]
                positions[number, begin:end] = np.arange(end - begin)
                owners[number, begin:end] = i
                starts[i] = number * width + begin
                begin = end
            positions[number, begin:] = np.arange(width - begin)
        return cls(torch.from_numpy(ids), torch.from_numpy(positions), torch.from_numpy(owners), starts)

    def to(self, device: torch.device) -> "_Side":
        return _Side(self.ids.to(device), self.positions.to(device), self.owners.to(device), self.starts)


def _encoded(model: Any, read: _Side, decoded: _Side) -> dict[str, Any]:
    """The decoder's keyword arguments. The encoder runs apart, as its mask is another than the decoder's."""
    dtype = model.get_input_embeddings().weight.dtype
    encoder = model.get_encoder()(input_ids=read.ids, attention_mask=_mask(read, read, dtype))
    return {
        "encoder_outputs": (encoder.last_hidden_state,),
        "attention_mask": _mask(decoded, read, dtype),
        "decoder_input_ids": decoded.ids,
        "decoder_attention_mask": _mask(decoded, decoded, dtype, causal=True),
    }


def _mask(queries: _Side, keys: _Side, dtype: torch.dtype, causal: bool = False) -> Tensor:
    """What is added to attention's scores, 0 within a sequence; (R, 1, queries, keys)."""
    same = queries.owners[:, :, None] == keys.owners[:, None, :]
    if causal:
        same = same.tril()
    same = same | ~same.any(dim=2, keepdim=True)  # padding sees anything: over nothing, softmax has no value
    mask = torch.zeros(same.shape, dtype=dtype, device=same.device)
    return mask.masked_fill(~same, torch.finfo(dtype).min)[:, None]
