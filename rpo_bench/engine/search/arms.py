"""Arms of a search: one method, base model and learning rate, with the strengths placed for it.

The state is derived from the records alone, so a stopped search resumes where it was.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from rpo_bench.engine.inputs.base_models import BaseModel
from rpo_bench.engine.inputs.choices import Choice, own_strengths
from rpo_bench.engine.inputs.examples import load_examples
from rpo_bench.engine.inputs.strengths import distinct_strengths
from rpo_bench.engine.plan.cells import PlannedCell, planned_cells
from rpo_bench.engine.plan.plan import Plan, examples_of
from rpo_bench.engine.search.placing import Ladder, Tried, bracketed, next_strengths
from rpo_bench.methods.registry import default_method
from rpo_bench.results.schema import Record

_AT_A_TIME = 2  # strengths that an arm asks for together; all arms run in parallel

Records = Mapping[str, Record]  # by cell hash


@dataclass(frozen=True)
class Placing:
    """How strengths are placed.

    Attributes:
        budgets: KL budgets in nats.
        most: maximum number of strengths of an arm, including its first ones.
    """

    budgets: tuple[float, ...]
    most: int


@dataclass(frozen=True)
class Arm:
    """The state of an arm.

    Attributes:
        choice: the method.
        model: the base model.
        rate: the learning rate.
        cells: all strengths × seeds so far.
        tried: the strengths with a KL, and its mean over seeds.
        complete: whether the arm needs no further cells.
    """

    choice: Choice
    model: BaseModel
    rate: float
    cells: tuple[PlannedCell, ...]
    tried: tuple[Tried, ...]
    complete: bool

    def not_bracketed(self, budgets: Iterable[float]) -> tuple[float, ...]:
        """The budgets without close strengths on both sides."""
        return tuple(budget for budget in budgets if not bracketed(self.tried, budget))


@dataclass(frozen=True)
class Start:
    """The start of an arm: its first strengths and the ladder of allowed ones.

    Attributes:
        budget: multiple of the training steps.
    """

    plan: Plan
    choice: Choice
    model: BaseModel
    strengths: tuple[float, ...]
    ladder: Ladder
    budget: int = 1

    def follow(self, rate: float, placing: Placing, records: Records) -> Arm:
        """The arm at a learning rate, as far as records exist."""
        strengths = list(self.strengths)
        while True:
            cells = self._cells(rate, strengths)
            known = [record for cell in cells if (record := records.get(cell.spec.hash)) is not None]
            tried = tried_strengths(known)
            if len(known) < len(cells):
                return Arm(self.choice, self.model, rate, cells, tried, complete=False)
            more = self._more(strengths, tried, placing)
            if not more:
                return Arm(self.choice, self.model, rate, cells, tried, complete=True)
            strengths += more

    def _more(self, strengths: Sequence[float], tried: Sequence[Tried], placing: Placing) -> list[float]:
        left = min(_AT_A_TIME, placing.most - len(strengths))
        if left <= 0 or len(self.ladder.own) < 2:  # it has one strength
            return []
        lost = sorted(set(strengths) - {one.strength for one in tried})
        return next_strengths(tried, lost, placing.budgets, left, self.ladder)

    def _cells(self, rate: float, strengths: Sequence[float]) -> tuple[PlannedCell, ...]:
        plan = self.plan
        spec = plan.spec.model_copy(update={"learning_rates": (rate,), "budgets": (self.budget,)})
        choice = replace(self.choice, strengths=tuple(strengths))
        task_hash, data = plan.cells[0].spec.task_hash, plan.data[self.model.name]
        return tuple(planned_cells(spec, plan.task, task_hash, data, self.model, choice))


def tried_strengths(records: Iterable[Record]) -> tuple[Tried, ...]:
    """Each strength with its mean KL over seeds, without strengths that diverged for all seeds."""
    found: dict[float, list[float]] = {}
    for record in records:
        kl, strength = record.point("kl"), record.spec.strength
        if kl is not None and strength is not None:
            found.setdefault(strength, []).append(kl)
    return tuple(Tried(strength, float(np.mean(kls))) for strength, kls in found.items())


def ladder_of(plan: Plan, choice: Choice, model: BaseModel) -> Ladder:
    """The strengths that a method may take: its own and the given ones, one per distinct checkpoint."""
    if choice.fixed:
        return Ladder(choice.strengths)
    own = own_strengths(default_method(choice.spec.name))
    every = sorted({*own, *choice.strengths}, reverse=own[0] > own[-1])
    rows = examples_of(plan.spec, plan.data[model.name], model, plan.context)
    kept, _ = distinct_strengths(replace(choice, strengths=tuple(every)), partial(load_examples, rows))
    method = choice.method
    return Ladder(
        own=kept.strengths,
        whole=isinstance(getattr(method, method.strength_name), int),
        closed=getattr(method, "strength_selects", False),
    )
