"""Drops strengths that give the same training rows, so that each checkpoint is trained once."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from rpo_bench.engine.inputs.choices import Choice
from trainers.examples import Examples
from trainers.objective import OfflineMethod


def distinct_strengths(choice: Choice, examples: Callable[[], Examples]) -> tuple[Choice, list[str]]:
    """Drops strengths at which a method trains on the same rows as at a smaller one.

    This applies only to methods whose strength just selects rows, such as SFT's best of k: every k above the
    number of responses is the same.

    Args:
        choice: a method with its strengths.
        examples: returns the model's rows; called only if needed.

    Returns:
        The choice, and a sentence for every dropped strength.
    """
    method = choice.method
    if not isinstance(method, OfflineMethod) or not method.strength_selects or len(choice.strengths) < 2:
        return choice, []
    if method.rounds:
        return _within_samples(choice, method.samples)
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
            f"no prompt has more than {largest} responses"
            if strength > largest
            else "it selects the same rows"
        )
        notes.append(
            f"{label} at {name} = {strength:g} is left out: it gives the same checkpoint as at "
            f"{name} = {same:g}, as {why}."
        )
    return replace(choice, strengths=tuple(one for one in choice.strengths if one in kept)), notes


def _within_samples(choice: Choice, samples: int) -> tuple[Choice, list[str]]:
    """In rounds: best of k of ``samples`` responses is the same for every k from there on."""
    kept: dict[float, float] = {}
    notes = []
    for strength in sorted(choice.strengths):
        same = kept.setdefault(min(strength, samples), strength)
        if same != strength:
            name, label = choice.method.strength_name, choice.spec.label
            notes.append(
                f"{label} at {name} = {strength:g} is left out: it gives the same checkpoint as at "
                f"{name} = {same:g}, as a round has {samples} responses to a prompt."
            )
    return replace(choice, strengths=tuple(s for s in choice.strengths if s in kept.values())), notes
