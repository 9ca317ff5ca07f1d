"""Scores of whole sequences by a classifier with one label: the same for any batch and any padding."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trainers.batch_check import needs_equal_lengths
from trainers.inputs import pad


@dataclass(frozen=True)
class Encoded:
    """One prompt and response as a classifier reads them.

    Attributes:
        ids: token ids, special tokens included.
        segments: which text each token belongs to, for models that need it (BERT).
    """

    ids: Sequence[int]
    segments: Sequence[int] | None = None


def sequence_scores(model: Any, rows: Sequence[Encoded], equal_lengths: bool = False) -> Tensor:
    """One score for each row; (B,) float32, with gradient where it is enabled.

    The classifiers of transformers read the score at a token that they find by its id: a decoder at the last
    one that isn't ``config.pad_token_id``, an encoder-decoder at the last end-of-sequence, of which all rows
    must have equally many. So padding has that id and is on the right, and rows that can't share a batch are
    scored in separate batches.

    Args:
        model: a transformers sequence classifier with one label.
        rows: B rows, none of them empty.
        equal_lengths: whether only equally long rows share a batch.
    """
    found: list[Tensor] = []
    places: list[int] = []
    for part in _compatible(model, rows, equal_lengths):
        found.append(_forward(model, [rows[i] for i in part]))
        places += part
    order = torch.tensor(places, device=found[0].device).argsort()  # (B,)
    return torch.cat(found)[order]


@torch.no_grad()
def all_scores(model: Any, rows: Sequence[Encoded], batch_size: int, equal_lengths: bool = False) -> Tensor:
    """Scores of N rows, rows of similar length together; (N,) float32 on the CPU."""
    order = sorted(range(len(rows)), key=lambda i: len(rows[i].ids))  # stable
    scores = torch.zeros(len(rows))
    for start in range(0, len(order), batch_size):
        part = order[start : start + batch_size]
        scores[part] = sequence_scores(model, [rows[i] for i in part], equal_lengths).cpu()
    return scores


def reads_padding(model: Any, rows: Sequence[Encoded], what: str) -> bool:
    """Whether a row's score changes with padding, so that only equally long rows may share a batch.

    Args:
        model: the classifier.
        rows: a few rows; two of one length at least, and one of another.
        what: names the model, for the message.

    Raises:
        UserError: a row's score depends on the rows beside it even without padding.
    """
    lengths = [len(row.ids) for row in rows]
    return needs_equal_lengths(lambda part: list(sequence_scores(model, part)), rows, lengths, what)


def _compatible(model: Any, rows: Sequence[Encoded], equal_lengths: bool) -> Iterator[list[int]]:
    """Indices of rows that can share a batch."""
    config = model.config
    groups: dict[tuple[int, int], list[int]] = {}
    for i, row in enumerate(rows):
        length = len(row.ids) if equal_lengths or pad_id(model) is None else 0
        ends = sum(token == config.eos_token_id for token in row.ids) if config.is_encoder_decoder else 0
        key = (length, ends)
        groups.setdefault(key, []).append(i)
    yield from groups.values()


def pad_id(model: Any) -> int | None:
    """The id that the classifier takes for padding; None where it knows of none."""
    found = model.config.get_text_config().pad_token_id
    return None if found is None else int(found)


def _forward(model: Any, rows: Sequence[Encoded]) -> Tensor:
    fill = pad_id(model)
    ids, mask = pad([row.ids for row in rows], 0 if fill is None else fill)
    inputs = {"input_ids": ids, "attention_mask": mask}
    if rows[0].segments is not None:
        inputs["token_type_ids"], _ = pad([row.segments or () for row in rows], 0)
    logits = model(**{name: tensor.to(model.device) for name, tensor in inputs.items()}).logits  # (B, 1)
    scores: Tensor = logits.float().squeeze(-1)
    return scores
