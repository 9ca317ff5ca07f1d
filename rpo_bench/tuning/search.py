"""The search of one method on one base model: which cells it wants next, from the records that there are.

Everything follows from the records, so that a search that was stopped goes on where it was, and one that is
done writes the same file again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from rpo_bench.engine.base_models import BaseModel
from rpo_bench.engine.choices import Choice, spread
from rpo_bench.engine.plan import Plan, PlannedCell, planned_cells, usual_rate
from rpo_bench.results.schema import Record
from rpo_bench.tuning import choosing, placing, schema

_AT_A_TIME = 2  # strengths of a learning rate in one round: all learning rates run beside each other

Records = Mapping[str, Record]


@dataclass(frozen=True)
class Effort:
    """How much every method gets.

    Attributes:
        rates: learning rates, before the grid grows where the best lies on its edge.
        strengths: of each learning rate, at most.
        budgets: KL in nats, at which methods are compared; the largest is the cap of the area.
    """

    rates: int = 4
    strengths: int = 6
    budgets: tuple[float, ...] = (0.3, 0.5, 0.75)

    @property
    def cap(self) -> float:
        """Up to where the area under a frontier is taken."""
        return max(self.budgets)


@dataclass(frozen=True)
class Arm:
    """One learning rate: its cells so far, and whether they are all that it wants."""

    rate: float
    cells: tuple[PlannedCell, ...]
    measured: tuple[choosing.Measured, ...]
    complete: bool


@dataclass(frozen=True)
class Search:
    """One method on one base model.

    Attributes:
        plan: holds the task, rows and models.
        model: the base model.
        choice: the method with its own strengths.
        effort: how much is tried.
    """

    plan: Plan
    model: BaseModel
    choice: Choice
    effort: Effort

    def arms(self, records: Records, reference: float) -> list[Arm]:
        """The learning rates that the search has come to, the last of them perhaps not complete.

        Args:
            records: what was measured so far, by cell hash.
            reference: reward of the reference policy on the tuning prompts.
        """
        spec, task = self.plan.spec, self.plan.task
        rates = choosing.first_rates(usual_rate(spec, task, self.choice, self.model.name), self.effort.rates)
        arms = [self._arm(rate, records) for rate in rates]
        while all(arm.complete for arm in arms):
            more = choosing.grown(self._areas(arms, reference), self.effort.rates)
            if more is None:
                break
            arms.append(self._arm(more, records))
        return arms

    def choose(self, records: Records, reference: float) -> schema.Choice:
        """The outcome of a search all of whose arms are complete."""
        arms = sorted(self.arms(records, reference), key=lambda arm: arm.rate)
        areas = self._areas(arms, reference)
        best = choosing.best_rate(areas)
        (chosen,) = (arm for arm in arms if arm.rate == best)
        tried = _tried(chosen.measured)
        return schema.Choice(
            model=self.model.name,
            method=self.choice.spec.label,
            strength_name=self.choice.method.strength_name,
            learning_rate=best,
            area=areas[best],
            areas={f"{rate:g}": value for rate, value in areas.items()},
            best_of=tuple(choosing.best_of(list(areas.values()))),
            on_edge=best in (arms[0].rate, arms[-1].rate),
            not_bracketed=tuple(b for b in self.effort.budgets if not placing.bracketed(tried, b)),
            configurations=tuple(
                schema.Configuration(
                    learning_rate=arm.rate,
                    strength=one.strength,
                    seed=one.seed,
                    kl=one.kl,
                    reward=one.reward,
                    cell=cell.spec.hash,
                )
                for arm in arms
                for cell, one in zip(arm.cells, arm.measured, strict=True)
            ),
        )

    def _areas(self, arms: Sequence[Arm], reference: float) -> dict[float, float]:
        return {arm.rate: choosing.area(arm.measured, reference, self.effort.cap) for arm in arms}

    def _arm(self, rate: float, records: Records) -> Arm:
        """Follows a learning rate as far as there are records."""
        strengths = list(spread(self._ladder.own, 2))
        while True:
            cells = self._cells(rate, strengths)
            known = [record for cell in cells if (record := records.get(cell.spec.hash)) is not None]
            measured = tuple(_measured(record) for record in known)
            if len(known) < len(cells):
                return Arm(rate, cells, measured, complete=False)
            left = min(_AT_A_TIME, self.effort.strengths - len(strengths))
            more = self._next(measured, left) if left > 0 else []
            if not more:
                return Arm(rate, cells, measured, complete=True)
            strengths += more

    @cached_property
    def _ladder(self) -> placing.Ladder:
        """The method's own strengths, those that come to the same left out as in any plan."""
        method, name = self.choice.method, self.choice.spec.label
        cells = [cell.spec for cell in self.plan.cells if cell.spec.model == self.model.name]
        planned = {spec.strength for spec in cells if spec.method.label == name}
        return placing.Ladder(
            own=tuple(strength for strength in self.choice.strengths if strength in planned),
            whole=isinstance(getattr(method, method.strength_name), int),
            closed=getattr(method, "strength_selects", False),
        )

    def _next(self, measured: tuple[choosing.Measured, ...], count: int) -> list[float]:
        if len(self._ladder.own) < 2:  # an option fixes the strength
            return []
        tried = _tried(measured)
        lost = {one.strength for one in measured} - {one.strength for one in tried}
        return placing.next_strengths(tried, sorted(lost), self.effort.budgets, count, self._ladder)

    def _cells(self, rate: float, strengths: list[float]) -> tuple[PlannedCell, ...]:
        plan = self.plan
        spec = plan.spec.model_copy(update={"learning_rates": (rate,)})
        choice = replace(self.choice, strengths=tuple(strengths))
        task_hash, data = plan.cells[0].spec.task_hash, plan.data[self.model.name]
        return tuple(planned_cells(spec, plan.task, task_hash, data, self.model, choice))


def _measured(record: Record) -> choosing.Measured:
    spec = record.spec
    assert spec.strength is not None
    return choosing.Measured(spec.strength, spec.seed, record.point("kl"), record.point("reward"))


def _tried(measured: tuple[choosing.Measured, ...]) -> list[placing.Tried]:
    """Each strength with its mean KL over seeds; without those that diverged on all."""
    found: dict[float, list[float]] = {}
    for one in measured:
        if one.kl is not None:
            found.setdefault(one.strength, []).append(one.kl)
    return [placing.Tried(strength, float(np.mean(kls))) for strength, kls in found.items()]
