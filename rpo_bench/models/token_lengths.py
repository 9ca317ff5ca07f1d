"""Lengths of rows in a model's tokens, before anything is trained on them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rpo_bench.data.report import Lengths, lengths_of
from rpo_bench.data.row import Row
from rpo_bench.models.loading import load_config, load_tokenizer
from rpo_bench.models.positions import positions_of
from rpo_bench.models.prompt_formats import resolve_format
from rpo_bench.models.prompting import logged_response, prompt_ids, response_ids


@dataclass(frozen=True)
class TokenLengths:
    """Percentiles of lengths in tokens, end-of-sequence included.

    Attributes:
        prompt: of prompts, in the prompt format.
        response: of responses.
        together: of both.
        limit: what the model has positions for; for an encoder-decoder, of the prompt. None: no limit.
        beyond: rows that are longer than that.
        said: share of all tokens that are of responses, which the losses are of.
    """

    prompt: Lengths
    response: Lengths
    together: Lengths
    limit: int | None
    beyond: int
    said: float


def token_lengths(
    rows: Sequence[Row], model: str, prompt_format: str | None, system_prompt: str | None = None
) -> TokenLengths:
    """Measures rows by a model's tokenizer; its weights aren't read.

    Args:
        rows: one or more.
        model: a folder, or a name on the hub.
        prompt_format: as ``--prompt-format``.
        system_prompt: as ``--system-prompt``.

    Raises:
        UserError: the tokenizer or the config can't be read, or the format doesn't fit.
    """
    config, tokenizer = load_config(model), load_tokenizer(model)
    encoder_decoder = bool(config.is_encoder_decoder)
    form = resolve_format(prompt_format, system_prompt, tokenizer, Path(model).name, encoder_decoder)
    ids: dict[str, Any] = {}
    for row in rows:
        if row.prompt_id not in ids:
            ids[row.prompt_id] = len(prompt_ids(tokenizer, row.prompt, encoder_decoder, form))
    read = [ids[row.prompt_id] for row in rows]
    logged = [logged_response(row.prompt, row.response, form) for row in rows]
    said = [len(one) for one in response_ids(tokenizer, logged, form)]
    together = [one + other for one, other in zip(read, said, strict=True)]
    limits = positions_of(config)
    if encoder_decoder:
        over = [
            (limits.prompt is not None and one > limits.prompt)
            or (limits.response is not None and other > limits.response)
            for one, other in zip(read, said, strict=True)
        ]
    else:
        over = [limits.prompt is not None and one > limits.prompt for one in together]
    share = sum(said) / sum(together)
    return TokenLengths(
        lengths_of(read), lengths_of(said), lengths_of(together), limits.prompt, sum(over), share
    )
