"""Whether responses begin where the reference expects them: checked before anything is trained on them."""

from typing import Any

import numpy as np
import torch

from rpo_bench.errors import UserError
from trainers.examples import Examples
from trainers.layouts import evaluating
from trainers.logps import TokenLayout, collate, token_logps

_ROWS = 32
_IMPROBABLE = -12.0  # nats: six in a million, at which half of the first tokens stand
_WORSE = 6.0  # nats that the other tokens are likelier


def check_beginnings(model: Any, examples: Examples, layout: TokenLayout, where: str) -> None:
    """Checks that the first tokens of logged responses aren't next to impossible under the reference.

    An encoder-decoder model that has only seen targets which begin with a token of its own (<s>, a language)
    gives nothing else a chance there, so that every log-prob of a response without it is off by that much.

    Args:
        model: The reference, a transformers model.
        examples: Tokenised rows, some of which are looked at.
        layout: How prompts and responses are laid out.
        where: Names the model, for messages.

    Raises:
        UserError: The response layout isn't what the model was trained on.
    """
    picked = np.linspace(0, len(examples.prompts) - 1, min(_ROWS, len(examples.prompts))).astype(int)
    rows = [i for i in dict.fromkeys(picked.tolist()) if len(examples.responses[i]) > 1]
    if not rows:
        return
    batch = collate([examples.prompts[i] for i in rows], [examples.responses[i] for i in rows], layout)
    batch = batch.to(next(model.parameters()).device)
    with evaluating(model), torch.no_grad():
        logps = token_logps(model, batch).cpu().numpy()  # (b, T)
    mask = batch.response_mask.cpu().numpy()
    mask[:, 0] = False
    first, others = float(np.median(logps[:, 0])), float(np.median(logps[mask]))
    if first < _IMPROBABLE and first < others - _WORSE:
        raise UserError(
            f"The first tokens of logged responses have next to no probability under {where} (a log-prob of "
            f"{first:.1f}, the others {others:.1f}): it was trained on responses that begin otherwise. Set "
            "what they begin with (forced_bos_token_id in generation_config.json, or the tokenizer's "
            "post-processor), or name the --prompt-format that it was trained in."
        )
