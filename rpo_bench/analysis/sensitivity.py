"""How much depends on a setting: the worst over the best gain, over strengths and over learning rates."""

import numpy as np

from rpo_bench.analysis.panels import Panel, Row, Series, training_key
from rpo_bench.files.hashing import hash_json
from rpo_bench.spec.settings import Frozen

#: (strength, learning rate) → gain over the reference policy.
Grid = dict[tuple[float | None, float | None], float]


class Sensitivity(Frozen):
    """How much a method's gain over the reference policy depends on a setting, all else equal."""

    task: str
    model: str
    method: str
    setting: str
    values: int
    worst: float
    best: float
    ratio: float | None


def sensitivities(panel: Panel) -> list[Sensitivity]:
    """By method: worst over best gain over strengths, and over learning rates at each strength."""
    base = None if panel.reference is None else _reward(panel.reference)
    if base is None:
        return []
    gains: dict[str, Grid] = {}
    labels: dict[str, str] = {}
    for series in panel.trained:
        label, identity = _all_else(series)
        labels.setdefault(identity, label)
        for row in series.rows:
            if (reward := _reward(row)) is not None:
                key = (row.strength, row.spec.training.learning_rate)
                gains.setdefault(identity, {})[key] = reward - base
    found = []
    for identity, grid in gains.items():
        found += _over(panel, labels[identity], grid, place=0, setting="strength")
        found += _over(panel, labels[identity], grid, place=1, setting="learning rate")
    return found


def _all_else(series: Series) -> tuple[str, str]:
    """A label, and what is equal for series that differ in nothing but the learning rate."""
    spec, contributor = series.rows[0].spec, series.rows[0].stored[0].contributor
    label = series.label if spec.training.learning_rate is None else spec.method.label
    return label, hash_json(
        [*training_key(spec, but={"learning_rate"}), spec.generation.backend, contributor]
    )


def _reward(row: Row) -> float | None:
    """The mean over seeds, of those that were measured."""
    values = [
        value.interval.point
        for stored in row.stored
        if (value := stored.record.metrics.get("reward")) is not None and value.interval.point is not None
    ]
    return float(np.mean(values)) if values else None


def _over(
    panel: Panel,
    method: str,
    grid: Grid,
    place: int,
    setting: str,
) -> list[Sensitivity]:
    """One line per value of the other setting that has at least two values of this one."""
    found = []
    others = sorted({key[1 - place] for key in grid}, key=lambda value: (value is not None, value))
    for other in others:
        values = [gain for key, gain in grid.items() if key[1 - place] == other]
        if len(values) < 2:
            continue
        name = ("learning rate", "strength")[place]
        at = "" if other is None or len(others) == 1 else f" at {name} {other:g}"
        worst, best = min(values), max(values)
        found.append(
            Sensitivity(
                task=panel.task,
                model=panel.model,
                method=method,
                setting=setting + at,
                values=len(values),
                worst=worst,
                best=best,
                ratio=worst / best if best > 0 else None,
            )
        )
    return found
