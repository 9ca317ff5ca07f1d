"""Log-probabilities of given tokens under a model."""

import inspect
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from trainers.equal_lengths import by_length
from trainers.head import LogpScore, Score, logits_at, scores_at
from trainers.inputs import IGNORED, ModelInputs

_LEAST_LOGP = -1e4  # of a token that a model rules out: 0 · −∞ counts as 0 in an entropy


def token_logps(model: Any, inputs: ModelInputs, temperature: float = 1.0) -> Tensor:
    """log π(y_t | x, y_<t) in nats, in float32; (B, T), zero beyond each response's end.

    Args:
        model: a transformers causal or encoder-decoder model.
        inputs: what ``collate`` made.
        temperature: logits are divided by it, as in sampling.
    """
    if inputs.equal_lengths:
        return by_length(inputs, lambda part: token_logps(model, part, temperature))
    return _scored(model, inputs, LogpScore(temperature))[..., 0]


def token_logps_and_entropies(
    model: Any, inputs: ModelInputs, temperature: float = 1.0
) -> tuple[Tensor, Tensor]:
    """``token_logps``, and the entropy of π(·|x, y_<t) in nats at each of these tokens; both (B, T)."""
    if inputs.equal_lengths:
        both = by_length(
            inputs, lambda part: torch.stack(token_logps_and_entropies(model, part, temperature), dim=-1)
        )
    else:
        both = _scored(model, inputs, entropy_score(temperature))
    return both[..., 0], both[..., 1]


def entropy_score(temperature: float) -> Score:
    """Log-probs, and the entropies of the distributions that they are of; (m, 2)."""

    def score(logits: Tensor, tokens: Tensor) -> Tensor:
        logps = F.log_softmax(logits / temperature, dim=-1)
        entropies = -(logps.exp() * logps.clamp(min=_LEAST_LOGP)).sum(dim=-1)
        return torch.stack([logps.gather(1, tokens[:, None]).squeeze(1), entropies], dim=1)

    return score


def _scored(model: Any, inputs: ModelInputs, score: Score) -> Tensor:
    """Numbers of the response tokens, zero beyond each response's end; (B, T, k)."""
    labels = inputs.labels.flatten()
    places = (labels != IGNORED).nonzero().squeeze(1)  # (n,) response tokens, row after row
    found = scores_at(
        model, inputs.forward, places, labels[places], score, inputs.kept, inputs.plain_head
    )  # (n, k)
    mask = inputs.response_mask
    return found.new_zeros(*mask.shape, found.shape[1]).masked_scatter(mask[..., None], found)


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


def _base_class(model: Any) -> type:
    """The class whose forward is called in the end, beneath a peft wrapper."""
    return type(model.get_base_model()) if hasattr(model, "get_base_model") else type(model)


@lru_cache(maxsize=64)
def _accepts_logits_to_keep(model_class: type) -> bool:
    return "logits_to_keep" in inspect.signature(model_class.forward).parameters  # type: ignore[attr-defined]
