"""Numbers of a batch's response tokens, computed with little padding where the model allows it."""

from typing import Any

import numpy as np
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from trainers.inputs import ModelInputs
from trainers.logps import entropy_score, token_logps, token_logps_and_entropies
from trainers.packing import PackedInputs, attention_cost, packed_inputs, packed_logps, packed_scores, packing


def shared_rows(model: Any, inputs: ModelInputs) -> PackedInputs | None:
    """The batch with several sequences in a row; None where they may not share one, or it costs more."""
    layout = inputs.sharing
    if layout is None:
        return None
    prompts, responses = inputs.sequences()
    read, said = (np.array([len(row) for row in rows], dtype=np.int64) for rows in (prompts, responses))
    chosen = packing(read, said, layout)
    width = model.get_input_embeddings().weight.shape[1]
    longest = int((read + said).max())
    if chosen.cost(width) >= len(prompts) * longest * attention_cost(longest, width):
        return None
    return packed_inputs(model, prompts, responses, chosen, layout, inputs.labels.device)


def shared_token_logps(model: Any, inputs: ModelInputs, temperature: float = 1.0) -> Tensor:
    """``token_logps`` with shared rows; (B, T), T as in the inputs."""
    packed = shared_rows(model, inputs)
    if packed is None:
        return token_logps(model, inputs, temperature)
    return as_wide(packed_logps(model, packed, temperature), inputs)


def shared_logps_and_entropies(
    model: Any, inputs: ModelInputs, temperature: float = 1.0
) -> tuple[Tensor, Tensor]:
    """``token_logps_and_entropies`` with shared rows; both (B, T)."""
    packed = shared_rows(model, inputs)
    if packed is None:
        return token_logps_and_entropies(model, inputs, temperature)
    found = packed_scores(model, packed, entropy_score(temperature))
    logps, entropies = (as_wide(packed.by_sequence(found[:, k]), inputs) for k in range(2))
    return logps, entropies


def as_wide(numbers: Tensor, inputs: ModelInputs) -> Tensor:
    """Numbers (B, t) with zeros up to the width T of the inputs, which rows left out may have given it."""
    return F.pad(numbers, (0, inputs.response_mask.shape[1] - numbers.shape[1]))
