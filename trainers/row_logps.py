"""log π(y|x) of a batch's rows, computed with little padding."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainers.flash import one_row
from trainers.inputs import TokenLayout, collate
from trainers.length_groups import length_groups, pass_cost
from trainers.logps import sequence_logps
from trainers.packing import Packing, attention_cost, packed_inputs, packed_logps, packing


def row_logps(
    model: Any,
    prompts: Sequence[Sequence[int]],
    responses: Sequence[Sequence[int]],
    layout: TokenLayout,
    device: torch.device,
) -> Tensor:
    """log π(y|x) in nats, summed over each response's tokens; (B,).

    Rows share a pass with those of similar length, or, where the model keeps them apart and it costs less,
    several share a row. With flash attention all are one row without padding.

    Args:
        model: a transformers causal or encoder-decoder model.
        prompts: token ids; B of them.
        responses: token ids, end-of-sequence included; B of them.
        layout: the format of the model's inputs.
        device: of the model.
    """
    read = np.array([len(prompt) for prompt in prompts], dtype=np.int64)
    said = np.array([len(response) for response in responses], dtype=np.int64)
    groups = [np.arange(len(read))] if layout.one_pass else length_groups(read + said, pass_cost(device))
    chosen: Packing | None = None
    if layout.unpadded:
        chosen = one_row((read + said).tolist())
    elif layout.packed and device.type == "cpu":
        # On a GPU, other kernels for packed rows need settings of their own; nothing was measured there.
        shared, width = packing(read, said, layout), model.get_input_embeddings().weight.shape[1]
        if shared.cost(width) < _cost_grouped(read + said, groups, width, pass_cost(device)):
            chosen = shared
    if chosen is not None:
        packed = packed_inputs(model, prompts, responses, chosen, layout, device)
        return packed_logps(model, packed).sum(dim=1)
    found = [
        sequence_logps(
            model, collate([prompts[i] for i in part], [responses[i] for i in part], layout).to(device)
        )
        for part in groups
    ]
    order = np.argsort(np.concatenate(groups), kind="stable")
    return torch.cat(found)[torch.as_tensor(order, device=device)]


def _cost_grouped(
    lengths: NDArray[np.int64], groups: Sequence[NDArray[np.int64]], width: int, per_pass: float
) -> float:
    """The same of rows in groups; passes beyond the first cost something of their own."""
    longest = [int(lengths[part].max()) for part in groups]
    tokens = [
        len(part) * most * attention_cost(most, width) for part, most in zip(groups, longest, strict=True)
    ]
    return sum(tokens) + (len(groups) - 1) * per_pass
