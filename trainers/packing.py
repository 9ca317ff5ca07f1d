"""Several sequences in one row of a batch: next to no padding, where a model keeps them apart."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from trainers.head import logits_at


def packed_rows(lengths: NDArray[np.int64], width: int) -> list[list[int]]:
    """Which sequences share a row: the longest first, each in the first row that has room.

    Args:
        lengths: tokens of each sequence, none above ``width``; (N,).
        width: tokens of a row.

    Returns:
        The places of each row's sequences.
    """
    rows: list[list[int]] = []
    free: list[int] = []
    for place in np.argsort(-lengths, kind="stable").tolist():
        length = int(lengths[place])
        row = next((i for i, left in enumerate(free) if left >= length), len(rows))
        if row == len(rows):
            rows.append([])
            free.append(width)
        rows[row].append(place)
        free[row] -= length
    return rows


def packed_logps(
    model: Any,
    prompts: Sequence[Sequence[int]],
    responses: Sequence[Sequence[int]],
    rows: Sequence[Sequence[int]],
    pad_id: int,
    device: torch.device,
) -> Tensor:
    """log π(y_t | x, y_<t) in nats, in float32; (B, T), zero beyond each response's end.

    Each sequence's positions count from 0, and there is no other mask: from that, transformers' models see
    where a sequence begins, and let none attend to another.

    Args:
        model: a transformers causal model for which ``keeps_apart`` holds.
        prompts: token ids; B of them.
        responses: token ids, end-of-sequence included; B of them.
        rows: which of them share a row.
        pad_id: fills up shorter rows, as a sequence of its own.
        device: of the model.
    """
    width = max(sum(len(prompts[i]) + len(responses[i]) for i in row) for row in rows)
    ids = np.full((len(rows), width), pad_id, dtype=np.int64)
    positions = np.zeros((len(rows), width), dtype=np.int64)
    places, cells = [], []  # of each response token: what predicts it in the rows, where it goes in (B, T)
    longest = max(len(response) for response in responses)
    for number, row in enumerate(rows):
        begin = 0
        for i in row:
            sequence = [*prompts[i], *responses[i]]
            end = begin + len(sequence)
            ids[number, begin:end] = sequence
            positions[number, begin:end] = np.arange(len(sequence))
            places.append(number * width + np.arange(begin + len(prompts[i]) - 1, end - 1))
            cells.append(i * longest + np.arange(len(responses[i])))
            begin = end
        positions[number, begin:] = np.arange(width - begin)
    where, cell = (torch.from_numpy(np.concatenate(found)).to(device) for found in (places, cells))
    inputs = {"input_ids": torch.from_numpy(ids), "position_ids": torch.from_numpy(positions)}
    targets = inputs["input_ids"].flatten().to(device)[where + 1]
    logits = logits_at(model, {name: tensor.to(device) for name, tensor in inputs.items()}, where).float()
    found = -F.cross_entropy(logits, targets, reduction="none")
    return found.new_zeros(len(prompts) * longest).index_copy(0, cell, found).view(len(prompts), longest)
