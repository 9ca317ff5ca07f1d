"""Checks before training that logged responses begin as the reference model expects."""

from typing import Any

import numpy as np
import torch

from rpo_bench.errors import UserError
from trainers.examples import Examples
from trainers.inputs import TokenLayout, collate
from trainers.logps import token_logps
from trainers.trials import trying

_ROWS = 32
_IMPROBABLE = -12.0  # nats, about six in a million; limit on the median first token
_WORSE = 6.0  # nats; how much likelier the other tokens must be


def check_beginnings(model: Any, examples: Examples, layout: TokenLayout, where: str) -> None:
    """Checks that the first tokens of logged responses aren't almost impossible under the reference.

    Some encoder-decoder models were trained only on targets that begin with a special token (<s>, a
    language). Other first tokens have almost no probability there, which biases every response's log-prob.

    Args:
        model: The reference, a transformers model.
        examples: Tokenised rows; some of them are checked.
        layout: The layout of prompts and responses.
        where: The model's name, for messages.

    Raises:
        UserError: The model was trained on another response layout.
    """
    picked = np.linspace(0, len(examples.prompts) - 1, min(_ROWS, len(examples.prompts))).astype(int)
    rows = [i for i in dict.fromkeys(picked.tolist()) if len(examples.responses[i]) > 1]
    if not rows:
        return
    batch = collate([examples.prompts[i] for i in rows], [examples.responses[i] for i in rows], layout)
    batch = batch.to(next(model.parameters()).device)
    with trying(model), torch.no_grad():
        logps = token_logps(model, batch).cpu().numpy()  # (b, T)
    mask = batch.response_mask.cpu().numpy()
    mask[:, 0] = False
    first, others = float(np.median(logps[:, 0])), float(np.median(logps[mask]))
    if first < _IMPROBABLE and first < others - _WORSE:
        raise UserError(
            f"The first tokens of logged responses have almost no probability under {where} (a log-prob of "
            f"{first:.1f}, the others {others:.1f}): it was trained on responses that begin differently. Set "
            "their first token (forced_bos_token_id in generation_config.json, or the tokenizer's "
            "post-processor), or give the --prompt-format that it was trained with."
        )
