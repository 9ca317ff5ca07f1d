"""Strengths that come to the same: one checkpoint is trained once, under the first of them."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from rpo_bench.engine.inputs.choices import Choice
from trainers.examples import Examples
from trainers.objective import OfflineMethod


def distinct_strengths(choice: Choice, examples: Callable[[], Examples]) -> tuple[Choice, list[str]]:
    """Leaves out strengths at which a method trains on the same rows as at a smaller one.

    Only methods are looked at whose strength does nothing but choose rows, as SFT's best of k: beyond the
    responses that there are, every k is the same.

    Args:
        choice: a method with its strengths.
        examples: gives the rows of the model, if they are needed.

    Returns:
        The choice, and a sentence for every strength that is left out.
    """
    method = choice.method
    if not isinstance(method, OfflineMethod) or not method.strength_selects or len(choice.strengths) < 2:
        return choice, []
    rows = examples()
    kept: dict[float, object] = {}
    notes = []
    for strength in sorted(choice.strengths):
        found = method.with_strength(strength).rows(rows)
        same = next((one for one, earlier in kept.items() if np.array_equal(found, earlier)), None)  # type: ignore[arg-type]
        if same is None:
            kept[strength] = found
            continue
        name, label = method.strength_name, choice.spec.label
        largest = int(np.bincount(rows.groups).max())
        why = (
            f"the most responses to a prompt are {largest}"
            if strength > largest
            else "it takes the same rows"
        )
        notes.append(
            f"{label} at {name} = {strength:g} would be the same checkpoint as at {name} = {same:g}, and is "
            f"left out: {why}."
        )
    return replace(choice, strengths=tuple(one for one in choice.strengths if one in kept)), notes
