"""A model's inputs from prompts and responses: the one place where architectures differ in their format."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from trainers.beginning import target_beginning
from trainers.errors import UserError

IGNORED = -100  # the label of positions that are no response token


@dataclass(frozen=True)
class TokenLayout:
    """How a model's inputs are built from prompt and response.

    Attributes:
        pad_id: fills up shorter rows; masked everywhere.
        decoder_start_id: first decoder input of an encoder-decoder model; None for a decoder-only model.
        beginning: the decoder's inputs between that and the response, such as a language's code.
        equal_lengths: the rows of a batch have to be equally long, as the model reads its padding.
        packed: several sequences may share a row, as the model keeps them apart.
        unpadded: all sequences may be one row, as flash attention computes each by itself.
        plain_head: the model's logits are what its head gives, so that a few may be computed at a time.
        one_pass: the rows of a batch take one forward pass, as other processes wait for it.
    """

    pad_id: int
    decoder_start_id: int | None = None
    beginning: tuple[int, ...] = ()
    equal_lengths: bool = False
    packed: bool = False
    unpadded: bool = False
    plain_head: bool = False
    one_pass: bool = False

    @classmethod
    def of(cls, model: Any, pad_id: int | None = None, tokenizer: Any = None) -> "TokenLayout":
        """The layout of a transformers model.

        Args:
            model: The model.
            pad_id: Overrides the config's.
            tokenizer: Says what the targets of an encoder-decoder model begin with.
        """
        config = model.config
        pad = pad_id if pad_id is not None else config.pad_token_id
        if pad is None:
            pad = (
                config.eos_token_id if isinstance(config.eos_token_id, int) else 0
            )  # masked, so any id will do
        if not config.is_encoder_decoder:
            return cls(pad)
        start = getattr(config, "decoder_start_token_id", None)
        if start is None:
            start = model.generation_config.decoder_start_token_id
        if start is None:
            raise UserError("The encoder-decoder model's config has no decoder_start_token_id: set it there.")
        return cls(pad, int(start), beginning=target_beginning(model, tokenizer, int(start)))

    def in_one_pass(self) -> "TokenLayout":
        """The layout with one pass per batch. Packed rows of an encoder-decoder model would take two."""
        return replace(self, one_pass=True, packed=self.packed and self.decoder_start_id is None)


@dataclass(frozen=True)
class ModelInputs:
    """A padded batch.

    Attributes:
        forward: keyword arguments of the model's forward pass.
        labels: the response token that each kept logit predicts, −100 elsewhere; (B, L).
        offsets: column of each row's first response token in ``labels``; (B,).
        response_mask: True on response tokens, aligned to the response's start; (B, T).
        kept: input columns whose logits are needed, (L,); None where the logits are (B, L) by themselves.
        equal_lengths: whether rows are to be computed in batches without padding.
        sharing: the layout by which several sequences may share a row; None: each has its own.
        plain_head: as of the layout.
    """

    forward: dict[str, Tensor]
    labels: Tensor
    offsets: Tensor
    response_mask: Tensor
    kept: Tensor | None
    equal_lengths: bool = False
    sharing: TokenLayout | None = None
    plain_head: bool = False

    def to(self, device: torch.device) -> "ModelInputs":
        """The same batch on another device."""
        return replace(
            self,
            forward={name: tensor.to(device) for name, tensor in self.forward.items()},
            labels=self.labels.to(device),
            offsets=self.offsets.to(device),
            response_mask=self.response_mask.to(device),
            kept=None if self.kept is None else self.kept.to(device),
        )

    def sequences(self) -> tuple[list[list[int]], list[list[int]]]:
        """The prompts and responses that ``collate`` padded, B of each."""
        said = self.response_mask.sum(dim=1).tolist()
        if self.kept is None:
            lengths = self.forward["attention_mask"].sum(dim=1)
        else:  # that mask is of prompt and response together
            lengths = self.offsets + self.kept[0] + 1
        prompts = [
            row[:n] for row, n in zip(self.forward["input_ids"].tolist(), lengths.tolist(), strict=True)
        ]
        rows = zip(self.labels.tolist(), self.offsets.tolist(), said, strict=True)
        return prompts, [row[first : first + length] for row, first, length in rows]


def collate(
    prompts: Sequence[Sequence[int]], responses: Sequence[Sequence[int]], layout: TokenLayout
) -> ModelInputs:
    """Pads B prompts and B responses (token ids, end-of-sequence included) into one batch."""
    columns = _decoder_only if layout.decoder_start_id is None else _encoder_decoder
    forward, labels, offsets, kept = columns(prompts, responses, layout)
    lengths = torch.tensor([len(response) for response in responses])
    mask = torch.arange(int(lengths.max()))[None, :] < lengths[:, None]  # (B, T)
    return ModelInputs(
        forward, labels, offsets, mask, kept, layout.equal_lengths, plain_head=layout.plain_head
    )


_Columns = tuple[dict[str, Tensor], Tensor, Tensor, Tensor | None]  # forward, labels, offsets, kept


def _encoder_decoder(
    prompts: Sequence[Sequence[int]], responses: Sequence[Sequence[int]], layout: TokenLayout
) -> _Columns:
    assert layout.decoder_start_id is not None
    input_ids, attention_mask = pad(prompts, layout.pad_id)
    unseen = [IGNORED] * len(layout.beginning)
    labels, _ = pad([[*unseen, *response] for response in responses], IGNORED)
    start = (layout.decoder_start_id, *layout.beginning)
    shifted = [[*start, *response[:-1]] for response in responses]
    # Passing decoder inputs rather than labels keeps the model from computing a loss of its own.
    forward = {
        "input_ids": input_ids,
        "attention_mask": attention_mask,
        "decoder_input_ids": pad(shifted, layout.pad_id)[0],
    }
    return forward, labels, torch.full((len(prompts),), len(layout.beginning)), None


def _decoder_only(
    prompts: Sequence[Sequence[int]], responses: Sequence[Sequence[int]], layout: TokenLayout
) -> _Columns:
    prompt_lengths = torch.tensor([len(prompt) for prompt in prompts])
    response_lengths = torch.tensor([len(response) for response in responses])
    first = int(prompt_lengths.min()) - 1  # the column whose logits predict the first response token of all
    if first < 0:
        raise UserError(
            "A decoder-only model needs at least one token before the response: a prompt is empty."
        )
    input_ids, attention_mask = pad(
        [[*prompt, *response] for prompt, response in zip(prompts, responses, strict=True)], layout.pad_id
    )
    kept = torch.arange(first, input_ids.shape[1] - 1)  # (L,)
    columns = kept[None, :] + 1
    is_response = (columns >= prompt_lengths[:, None]) & (
        columns < (prompt_lengths + response_lengths)[:, None]
    )
    labels = torch.where(is_response, input_ids[:, first + 1 :], IGNORED)  # (B, L)
    forward = {"input_ids": input_ids, "attention_mask": attention_mask}
    return forward, labels, prompt_lengths - 1 - first, kept


def pad(rows: Sequence[Sequence[int]], fill: int) -> tuple[Tensor, Tensor]:
    """Right-pads lists of ids: (B, longest) ids and their (B, longest) attention mask of 0 and 1."""
    lengths = [len(row) for row in rows]
    ids = torch.full((len(rows), max(lengths)), fill, dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, : lengths[i]] = torch.as_tensor(row, dtype=torch.long)
    mask = torch.arange(max(lengths))[None, :] < torch.tensor(lengths)[:, None]
    return ids, mask.long()
