"""How much a method learnt from: the same question of every method, whose answers differ."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Seen:
    """What a training saw.

    Attributes:
        rows: responses that the data hold; of an online method, those it sampled.
        rows_used: distinct ones that some step learnt from.
        prompts: distinct prompts among those.
        presentations: rows of all steps together, repeats counted.
        tokens: of the responses of all presentations.
        epochs: presentations over the rows that could come up.
        pairs: pairs that were made of the rows; None for a method that learns from single rows.
        pairs_used: distinct ones that some step learnt from.
    """

    rows: int
    rows_used: int
    prompts: int
    presentations: int
    tokens: int
    epochs: float
    pairs: int | None = None
    pairs_used: int | None = None


def seen_offline(
    units: NDArray[np.int64],
    groups: NDArray[np.int64],
    lengths: NDArray[np.float64],
    batches: NDArray[np.int64],
    rows: int,
) -> Seen:
    """What an offline training saw.

    Args:
        units: the rows of each unit: one, or a pair; (U, 1) or (U, 2).
        groups: the prompt that each row belongs to; (N,).
        lengths: tokens of each row's response; (N,).
        batches: units of the steps that were done; (S, B).
        rows: of the data, before the method chose N among them.
    """
    distinct = np.unique(batches)
    used = np.unique(units[distinct])
    paired = units.shape[1] == 2
    return Seen(
        rows=rows,
        rows_used=len(used),
        prompts=len(np.unique(groups[used])),
        presentations=batches.size * units.shape[1],
        tokens=int(lengths[units[batches]].sum()),
        epochs=batches.size / len(units),
        pairs=len(units) if paired else None,
        pairs_used=len(distinct) if paired else None,
    )
