"""Log-probabilities of given tokens: the only switch between encoder-decoder and decoder-only models."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from trainers.beginning import target_beginning
from trainers.equal_lengths import by_length
from trainers.errors import UserError
from trainers.head import logits_at

_IGNORED = -100  # the label of positions that are no response token
_LEAST_LOGP = -1e4  # of a token that a model rules out: 0 · −∞ counts as 0 in an entropy


@dataclass(frozen=True)
class TokenLayout:
    """How a model's inputs are built from prompt and response.

    Attributes:
        pad_id: fills up shorter rows; masked everywhere.
        decoder_start_id: first decoder input of an encoder-decoder model; None for a decoder-only model.
        beginning: the decoder's inputs between that and the response, such as a language's code.
        equal_lengths: the rows of a batch have to be equally long, as the model reads its padding.
        packed: several sequences may share a row, as the model keeps them apart.
    """

    pad_id: int
    decoder_start_id: int | None = None
    beginning: tuple[int, ...] = ()
    equal_lengths: bool = False
    packed: bool = False

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
    """

    forward: dict[str, Tensor]
    labels: Tensor
    offsets: Tensor
    response_mask: Tensor
    kept: Tensor | None
    equal_lengths: bool = False
    sharing: TokenLayout | None = None

    def to(self, device: torch.device) -> "ModelInputs":
        """The same batch on another device."""
        return ModelInputs(
            {name: tensor.to(device) for name, tensor in self.forward.items()},
            self.labels.to(device),
            self.offsets.to(device),
            self.response_mask.to(device),
            None if self.kept is None else self.kept.to(device),
            self.equal_lengths,
            self.sharing,
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
    response_lengths = torch.tensor([len(response) for response in responses])
    longest = int(response_lengths.max())
    response_mask = torch.arange(longest)[None, :] < response_lengths[:, None]  # (B, T)
    if layout.decoder_start_id is not None:
        input_ids, attention_mask = pad(prompts, layout.pad_id)
        unseen = [_IGNORED] * len(layout.beginning)
        labels, _ = pad([[*unseen, *response] for response in responses], _IGNORED)
        start = (layout.decoder_start_id, *layout.beginning)
        shifted = [[*start, *response[:-1]] for response in responses]
        decoder_input_ids, _ = pad(shifted, layout.pad_id)
        # Passing decoder inputs rather than labels keeps the model from computing a loss of its own.
        forward = {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "decoder_input_ids": decoder_input_ids,
        }
        offsets = torch.full((len(prompts),), len(layout.beginning))
        return ModelInputs(forward, labels, offsets, response_mask, None, layout.equal_lengths)

    prompt_lengths = torch.tensor([len(prompt) for prompt in prompts])
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
    labels = torch.where(is_response, input_ids[:, first + 1 :], _IGNORED)  # (B, L)
    forward = {"input_ids": input_ids, "attention_mask": attention_mask}
    offsets = prompt_lengths - 1 - first
    return ModelInputs(forward, labels, offsets, response_mask, kept, layout.equal_lengths)


def token_logps(model: Any, inputs: ModelInputs, temperature: float = 1.0) -> Tensor:
    """log π(y_t | x, y_<t) in nats, in float32; (B, T), zero beyond each response's end.

    Args:
        model: a transformers causal or encoder-decoder model.
        inputs: what ``collate`` made.
        temperature: logits are divided by it, as in sampling.
    """
    if inputs.equal_lengths:
        return by_length(inputs, lambda part: token_logps(model, part, temperature))
    labels = inputs.labels.flatten()
    places = (labels != _IGNORED).nonzero().squeeze(1)  # (n,) response tokens, row after row
    logits = _logits_at(model, inputs, places)  # (n, V)
    if temperature != 1.0:
        logits = logits / temperature
    found = -F.cross_entropy(logits, labels[places], reduction="none")
    mask = inputs.response_mask
    return found.new_zeros(mask.shape).masked_scatter(mask, found)


def token_logps_and_entropies(
    model: Any, inputs: ModelInputs, temperature: float = 1.0
) -> tuple[Tensor, Tensor]:
    """``token_logps``, and the entropy of π(·|x, y_<t) in nats at each of these tokens; both (B, T)."""
    if inputs.equal_lengths:
        both = by_length(
            inputs, lambda part: torch.stack(token_logps_and_entropies(model, part, temperature), dim=-1)
        )
        return both[..., 0], both[..., 1]
    labels = inputs.labels.flatten()
    places = (labels != _IGNORED).nonzero().squeeze(1)  # (n,)
    logits = _logits_at(model, inputs, places) / temperature  # (n, V)
    chosen, entropies = logps_and_entropies(logits, labels[places])
    mask = inputs.response_mask
    empty = chosen.new_zeros(mask.shape)
    return empty.masked_scatter(mask, chosen), empty.masked_scatter(mask, entropies)


def logps_and_entropies(logits: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """log-probs of tokens (n,), and the entropies of their distributions, from logits (n, V); both (n,)."""
    logps = F.log_softmax(logits, dim=-1)
    entropies = -(logps.exp() * logps.clamp(min=_LEAST_LOGP)).sum(dim=-1)
    return logps.gather(1, tokens[:, None]).squeeze(1), entropies


def first_token_logps(model: Any, inputs: ModelInputs) -> Tensor:
    """log π(·|x) in nats of every token as the first one of the response, in float32; (B, V)."""
    if inputs.equal_lengths:
        return by_length(inputs, lambda part: first_token_logps(model, part))
    return _row_logps(model, inputs, inputs.offsets)


def last_token_logps(model: Any, inputs: ModelInputs) -> Tensor:
    """log π(·|x, y_<t) in nats of every token in place of the response's last one, in float32; (B, V)."""
    if inputs.equal_lengths:
        return by_length(inputs, lambda part: last_token_logps(model, part))
    return _row_logps(model, inputs, inputs.offsets + inputs.response_mask.sum(dim=1) - 1)


def _row_logps(model: Any, inputs: ModelInputs, columns: Tensor) -> Tensor:
    """log-probs of every token at a column (B,) of each row's labels; (B, V)."""
    count, width = inputs.labels.shape
    places = torch.arange(count, device=columns.device) * width + columns
    return F.log_softmax(_logits_at(model, inputs, places), dim=-1)


def _logits_at(model: Any, inputs: ModelInputs, places: Tensor) -> Tensor:
    """The logits that predict the flattened labels at ``places`` (n,), in float32; (n, V)."""
    return logits_at(model, inputs.forward, places, inputs.kept).float()


def kept_logits(model: Any, inputs: ModelInputs) -> Tensor:
    """The logits that predict ``labels``, in float32; (B, L, V)."""
    keep_in_model = inputs.kept is not None and _accepts_logits_to_keep(_base_class(model))
    extra = {"logits_to_keep": inputs.kept} if keep_in_model else {}
    logits: Tensor = model(**inputs.forward, **extra, use_cache=False).logits
    if inputs.kept is not None and not keep_in_model:
        logits = logits[:, inputs.kept]
    return logits.float()


def aligned(values: Tensor, inputs: ModelInputs) -> Tensor:
    """Numbers at the columns that predict each row's response, moved to its start; (B, T) from (B, L)."""
    longest = inputs.response_mask.shape[1]
    columns = inputs.offsets[:, None] + torch.arange(longest, device=values.device)[None, :]  # (B, T)
    moved = values.gather(1, columns.clamp(max=values.shape[1] - 1))
    return torch.where(inputs.response_mask, moved, 0.0)


def sequence_logps(model: Any, inputs: ModelInputs) -> Tensor:
    """log π(y|x) summed over the response's tokens, end-of-sequence included; (B,)."""
    return token_logps(model, inputs).sum(dim=1)


def pad(rows: Sequence[Sequence[int]], fill: int) -> tuple[Tensor, Tensor]:
    """Right-pads lists of ids: (B, longest) ids and their (B, longest) attention mask of 0 and 1."""
    lengths = [len(row) for row in rows]
    ids = torch.full((len(rows), max(lengths)), fill, dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, : lengths[i]] = torch.as_tensor(row, dtype=torch.long)
    mask = torch.arange(max(lengths))[None, :] < torch.tensor(lengths)[:, None]
    return ids, mask.long()


def _base_class(model: Any) -> type:
    """The class whose forward is called in the end, beneath a peft wrapper."""
    return type(model.get_base_model()) if hasattr(model, "get_base_model") else type(model)


@lru_cache(maxsize=64)
def _accepts_logits_to_keep(model_class: type) -> bool:
    return "logits_to_keep" in inspect.signature(model_class.forward).parameters  # type: ignore[attr-defined]
