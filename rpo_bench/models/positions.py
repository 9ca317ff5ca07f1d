"""The number of tokens that a model has positions for."""

from dataclasses import dataclass
from typing import Any

#: Families whose positions start after the padding token's id.
_COUNTED_FROM_PADDING = (
    "roberta", "camembert", "longformer", "data2vec-text", "ibert", "mpnet", "luke", "xmod",
)  # fmt: skip


@dataclass(frozen=True)
class Positions:
    """The limits of a model in tokens; None where positions are relative (T5).

    Attributes:
        prompt: Limit of the prompt; for a decoder-only model, of prompt and response together.
        response: Separate limit of the response: an encoder-decoder's decoder has its own positions.
    """

    prompt: int | None
    response: int | None


def positions_of(config: Any) -> Positions:
    """The limits in a transformers config."""
    if not config.is_encoder_decoder:
        limit = token_limit(config.get_text_config())
        return Positions(limit, limit)
    encoder, decoder = (_half(config, name) for name in ("encoder", "decoder"))
    return Positions(
        _stated(encoder, "max_encoder_position_embeddings") or token_limit(encoder),
        _stated(decoder, "max_decoder_position_embeddings") or token_limit(decoder),
    )


def token_limit(config: Any) -> int | None:
    """The sequence length limit in a config; None without one."""
    limit = _stated(config, "max_position_embeddings")
    if limit is not None and any(family in config.model_type for family in _COUNTED_FROM_PADDING):
        limit -= int(config.pad_token_id) + 1
    return limit


def _half(config: Any, name: str) -> Any:
    """The config of the encoder or decoder, if they have separate ones."""
    half = getattr(config, name, None)
    return half if hasattr(half, "model_type") else config


def _stated(config: Any, name: str) -> int | None:
    limit = getattr(config, name, None)
    return int(limit) if isinstance(limit, int) and limit > 0 else None
