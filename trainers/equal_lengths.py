"""Batches of equally long rows, for models that read their padding."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

if TYPE_CHECKING:
    from trainers.inputs import ModelInputs

_Key = TypeVar("_Key")


def groups_of(keys: Sequence[_Key]) -> list[list[int]]:
    """The places that have the same key, in the order in which the keys come up."""
    found: dict[_Key, list[int]] = {}
    for place, key in enumerate(keys):
        found.setdefault(key, []).append(place)
    return list(found.values())


def by_length(inputs: "ModelInputs", compute: Callable[["ModelInputs"], Tensor]) -> Tensor:
    """What ``compute`` gives, (B, …), of batches without padding.

    Args:
        inputs: A padded batch of B rows.
        compute: Numbers of a batch of b rows: (b, …), of which the second dimension may be shorter.
    """
    found, places = [], []
    for rows, part in _parts(inputs):
        found.append(compute(part))
        places += rows
    width = max(numbers.shape[1] for numbers in found)
    wide = [torch.nn.functional.pad(n, (0, 0) * (n.dim() - 2) + (0, width - n.shape[1])) for n in found]
    return torch.cat(wide)[torch.tensor(places, device=found[0].device).argsort()]


def _parts(inputs: "ModelInputs") -> Iterator[tuple[list[int], "ModelInputs"]]:
    """Rows that are equally long throughout, without padding."""
    lengths = inputs.forward["attention_mask"].sum(1).tolist()  # of the prompt, or of prompt and response
    answers = inputs.response_mask.sum(1).tolist()
    encoded = "decoder_input_ids" in inputs.forward
    for places in groups_of(list(zip(lengths, answers, strict=True)) if encoded else lengths):
        rows = torch.tensor(places, device=inputs.labels.device)
        length = lengths[places[0]]
        widths = dict.fromkeys(inputs.forward, length)
        kept = inputs.kept
        if encoded:
            columns = answers[places[0]] + int(inputs.offsets[places[0]])
            widths |= {name: columns for name in widths if name.startswith("decoder_")}
        else:
            assert kept is not None
            kept = kept[kept < length - 1]
            columns = len(kept)
        yield (
            places,
            dataclasses.replace(
                inputs,
                forward={name: tensor[rows, : widths[name]] for name, tensor in inputs.forward.items()},
                labels=inputs.labels[rows, :columns],
                offsets=inputs.offsets[rows],
                response_mask=inputs.response_mask[rows, : columns if encoded else None],
                kept=kept,
                equal_lengths=False,
            ),
        )
