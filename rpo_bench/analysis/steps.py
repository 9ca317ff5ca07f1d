"""Methods that were trained with several numbers of steps: what each step count gives at equal KL."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rpo_bench.analysis.cube import Cube
from rpo_bench.analysis.items import Item
from rpo_bench.analysis.matched import at_kl, reference_term
from rpo_bench.analysis.panels import Panel, Series, training_key
from rpo_bench.files.hashing import hash_json
from rpo_bench.stats.interval import Interval


@dataclass(frozen=True)
class AtSteps:
    """One method trained with one number of steps.

    Attributes:
        label: of its series.
        steps: of the training.
        seconds: that the training of a checkpoint took, mean over strengths and seeds.
        gain: reward over the reference policy at the KL budget.
        held: whether its frontier ends before the budget.
    """

    label: str
    steps: int
    seconds: float
    gain: Interval
    held: bool


def by_steps(panel: Panel, cube: Cube, budget: float) -> tuple[tuple[AtSteps, ...], ...]:
    """For each method with two step counts or more: its numbers, by steps.

    Args:
        panel: whose methods.
        cube: KL and reward of its checkpoints and of the reference policy.
        budget: in nats.
    """
    start = "" if panel.reference is None else panel.reference.stored[0].record.cell
    if not cube.has(start, "reward"):
        return ()
    groups: dict[str, list[Series]] = {}
    for series in panel.trained:
        groups.setdefault(hash_json(training_key(series.rows[0].spec, but=("steps",))), []).append(series)
    several = [of for of in groups.values() if len({_steps(series) for series in of}) > 1]
    found = (_of_method(of, cube, start, budget) for of in several)
    return tuple(one for one in found if len(one) > 1)


def _of_method(series: Sequence[Series], cube: Cube, start: str, budget: float) -> tuple[AtSteps, ...]:
    reference = reference_term(cube, start).negative()
    found = []
    for one in sorted(series, key=_steps):
        side = at_kl(Item(one.label, one.label, one.rows), start, cube, "reward", budget)
        gain = cube.joint.contrast([side.term, reference]).interval
        if gain.point is not None:
            found.append(AtSteps(one.label, _steps(one), _seconds(one), gain, side.held))
    return tuple(found)


def _steps(series: Series) -> int:
    return series.rows[0].spec.training.steps


def _seconds(series: Series) -> float:
    costs = [stored.record.cost for row in series.rows for stored in row.stored]
    return float(np.mean([cost.train_seconds for cost in costs]))
