"""The search of one method on one base model: chooses the next cells from existing records."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from rpo_bench.engine.inputs.base_models import BaseModel
from rpo_bench.engine.inputs.choices import Choice, spread
from rpo_bench.engine.plan.cells import PlannedCell, usual_rate
from rpo_bench.engine.plan.plan import Plan
from rpo_bench.engine.search.arms import Arm, Placing, Records, Start, ladder_of
from rpo_bench.tuning import choosing, schema

_ENDS = 2  # an arm starts with the ends of the method's own ladder


@dataclass(frozen=True)
class Effort:
    """The effort per method.

    Attributes:
        rates: initial number of learning rates; the grid grows if the best is at its edge.
        strengths: maximum number of strengths per learning rate.
        budgets: KL budgets in nats for comparing methods; the largest is the cap of the area.
    """

    rates: int = 4
    strengths: int = 6
    budgets: tuple[float, ...] = (0.3, 0.5, 0.75)

    @property
    def cap(self) -> float:
        """The KL up to which the area under a frontier is taken."""
        return max(self.budgets)


@dataclass(frozen=True)
class Search:
    """One method on one base model.

    Attributes:
        plan: holds the task, rows and models.
        model: the base model.
        variants: the method with each of the tried options; they share the learning rates.
        effort: the effort.
    """

    plan: Plan
    model: BaseModel
    variants: tuple[Choice, ...]
    effort: Effort

    def arms(self, records: Records, reference: float) -> list[Arm]:
        """The learning rates that the search has reached; the last ones may be incomplete.

        Args:
            records: the records so far, by cell hash.
            reference: reward of the reference policy on the tuning prompts.
        """
        arms = [
            self._arm(start, rate, records)
            for start in self._starts
            for rate in self._first_rates(start.choice)
        ]
        while all(arm.complete for arm in arms):
            areas = self._areas(arms, records, reference)
            label = choosing.best_variant(areas)  # only its grid grows
            more = choosing.grown(areas[label], self.effort.rates // len(self.variants))
            if more is None:
                break
            start = next(one for one in self._starts if one.choice.spec.label == label)
            arms.append(self._arm(start, more, records))
        return arms

    def choose(self, records: Records, reference: float) -> schema.Choice:
        """The choice of a search with only complete arms."""
        arms = sorted(self.arms(records, reference), key=lambda arm: (arm.choice.spec.label, arm.rate))
        areas = self._areas(arms, records, reference)
        label = choosing.best_variant(areas)
        rate = choosing.best_rate(areas[label])
        (chosen,) = (arm for arm in arms if (arm.choice.spec.label, arm.rate) == (label, rate))
        rates = sorted(areas[label])
        return schema.Choice(
            model=self.model.name,
            method=label,
            strength_name=chosen.choice.method.strength_name,
            learning_rate=rate,
            area=areas[label][rate],
            arms=tuple(
                schema.Arm(method=name, learning_rate=one, area=area)
                for name, of in areas.items()
                for one, area in of.items()
            ),
            best_of=tuple(choosing.best_of([area for of in areas.values() for area in of.values()])),
            on_edge=rate in (rates[0], rates[-1]),
            not_bracketed=chosen.not_bracketed(self.effort.budgets),
            configurations=tuple(_configurations(arms, records)),
        )

    def _first_rates(self, choice: Choice) -> list[float]:
        usual = usual_rate(self.plan.spec, self.plan.task, choice, self.model)
        return choosing.first_rates(usual, self.effort.rates // len(self.variants))

    def _areas(
        self, arms: Sequence[Arm], records: Records, reference: float
    ) -> dict[str, dict[float, float]]:
        """Method with its options → learning rate → area."""
        areas: dict[str, dict[float, float]] = {}
        for arm in arms:
            measured = [_measured(cell, records) for cell in arm.cells]
            area = choosing.area(measured, reference, self.effort.cap)
            areas.setdefault(arm.choice.spec.label, {})[arm.rate] = area
        return areas

    def _arm(self, start: Start, rate: float, records: Records) -> Arm:
        return start.follow(rate, Placing(self.effort.budgets, self.effort.strengths), records)

    @cached_property
    def _starts(self) -> list[Start]:
        ladders = [(choice, ladder_of(self.plan, choice, self.model)) for choice in self.variants]
        return [
            Start(self.plan, choice, self.model, spread(ladder.own, _ENDS), ladder)
            for choice, ladder in ladders
        ]


def _configurations(arms: Sequence[Arm], records: Records) -> Iterator[schema.Configuration]:
    """All tried configurations."""
    for arm in arms:
        for cell in arm.cells:
            one = _measured(cell, records)
            yield schema.Configuration(
                method=arm.choice.spec.label,
                learning_rate=arm.rate,
                strength=one.strength,
                seed=one.seed,
                kl=one.kl,
                reward=one.reward,
                cell=cell.spec.hash,
            )


def _measured(cell: PlannedCell, records: Records) -> choosing.Measured:
    record, strength = records[cell.spec.hash], cell.spec.strength
    assert strength is not None
    return choosing.Measured(strength, cell.spec.seed, record.point("kl"), record.point("reward"))
