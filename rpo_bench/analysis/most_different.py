"""The prompts on which two items differ most, with their texts."""

from collections.abc import Collection, Sequence

import numpy as np

from rpo_bench.analysis.cube import Cube
from rpo_bench.analysis.items import Item
from rpo_bench.analysis.pairs import TIE, Compared
from rpo_bench.analysis.report import PromptGap
from rpo_bench.errors import UserError
from rpo_bench.results.store import StoredRecord, read_samples


def most_different(
    compared: Sequence[Compared], cube: Cube, items: Sequence[Item], count: int
) -> dict[str, tuple[PromptGap, ...]]:
    """For every pair the prompts on which their rewards differ most, at its first primary comparison.

    Args:
        compared: All comparisons of a section.
        cube: Their scores.
        items: What is compared, whose stored samples have the prompts' texts.
        count: Prompts of each pair, at most.

    Returns:
        ``first vs second`` → prompts, largest gap first.
    """
    chosen: dict[str, list[tuple[str, float, float]]] = {}
    for one in compared:
        c = one.comparison
        if c.primary and len(one.first):
            chosen.setdefault(f"{c.first} vs {c.second}", _apart(one, cube.prompts, count))
    wanted = {prompt for gaps in chosen.values() for prompt, _, _ in gaps}
    records = [stored for item in items for row in item.rows for stored in row.stored]
    texts = _texts(records, wanted)
    return {
        pair: tuple(
            PromptGap(prompt_id=p, prompt=texts.get(p), first=a, second=b, difference=a - b)
            for p, a, b in gaps
        )
        for pair, gaps in chosen.items()
    }


def _apart(compared: Compared, prompts: Sequence[str], count: int) -> list[tuple[str, float, float]]:
    """The prompts on which two items differ most: (prompt, first's score, second's), largest gap first."""
    gap = np.abs(compared.first - compared.second)
    order = sorted((i for i in range(len(gap)) if gap[i] > TIE), key=lambda i: (-gap[i], prompts[i]))
    return [(prompts[i], float(compared.first[i]), float(compared.second[i])) for i in order[:count]]


def _texts(records: Sequence[StoredRecord], wanted: Collection[str]) -> dict[str, str]:
    """The text of each wanted prompt, as far as any checkpoint's samples are stored."""
    found: dict[str, str] = {}
    for stored in records:
        if set(wanted) <= set(found):
            break
        try:
            samples = read_samples(stored.folder)
        except UserError:  # results without samples are whole in all else
            continue
        found |= {sample.prompt_id: sample.prompt for sample in samples if sample.prompt_id in wanted}
    return found
