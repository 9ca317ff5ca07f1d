"""A run that places strengths near the KL budgets at which methods are compared."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from multiprocessing.context import BaseContext

from rich.console import Console

from rpo_bench.engine.execute import Runner, run_plan
from rpo_bench.engine.inputs.choices import Choice
from rpo_bench.engine.output import Output
from rpo_bench.engine.plan.cells import PlannedCell, usual_rate
from rpo_bench.engine.plan.plan import Plan
from rpo_bench.engine.search.arms import Arm, Placing, Records, Start, ladder_of
from rpo_bench.engine.search.run_search import Searched, run_search


def run_placed(
    plan: Plan, output: Output, runner: Runner, context: BaseContext, console: Console
) -> tuple[Searched, list[str]]:
    """Executes the unfinished cells of a plan, and places strengths near its KL budgets.

    Strengths are placed by mean KL over seeds. Rewards aren't used.

    Returns:
        The outcome, and a sentence for each method without strengths close to a budget.

    Raises:
        UserError: the disk is full or read-only.
        KeyboardInterrupt: Ctrl-C; finished stages are kept.
    """
    if not plan.spec.kl_budgets:  # no need to read records
        return Searched(plan, run_plan(plan, output, runner, context, console), {}), []
    starts = _starts(plan)

    def wanted(records: Records) -> dict[str, PlannedCell]:
        return {cell.spec.hash: cell for arm in _arms(starts, records) for cell in arm.cells}

    done = run_search(plan, wanted, output, runner, context, console)
    return done, [line for arm in _arms(starts, done.records) for line in _shortfalls(arm, plan)]


def placing_cost(plan: Plan) -> list[str]:
    """A sentence on the cells that placing may add to a plan."""
    spec = plan.spec
    if not spec.kl_budgets:
        return []
    budgets = ", ".join(f"{budget:g}" for budget in spec.kl_budgets)
    arms = len(plan.models) * len(plan.choices) * max(1, len(spec.learning_rates)) * len(spec.budgets)
    most = arms * spec.placed * len(spec.seeds)
    return [
        f"Up to {spec.placed} further strengths of each method are placed near {budgets} nats: up to "
        f"{most:,} checkpoints beyond the plan's."
    ]


def _starts(plan: Plan) -> list[tuple[Start, float]]:
    """The start and learning rate of every arm."""
    spec = plan.spec
    found = []
    for model, choice in product(plan.models, plan.choices):
        start = Start(plan, choice, model, _planned(plan, choice, model.name), ladder_of(plan, choice, model))
        rates = spec.learning_rates or (usual_rate(spec, plan.task, choice, model),)
        found += [(replace(start, budget=budget), rate) for budget, rate in product(spec.budgets, rates)]
    return found


def _planned(plan: Plan, choice: Choice, model: str) -> tuple[float, ...]:
    """The strengths of a method in the plan."""
    cells = [cell.spec for cell in plan.cells if cell.spec.model == model]
    planned = [spec.strength for spec in cells if spec.method.label == choice.spec.label]
    return tuple(dict.fromkeys(strength for strength in planned if strength is not None))


def _arms(starts: list[tuple[Start, float]], records: Records) -> Iterator[Arm]:
    for start, rate in starts:
        spec = start.plan.spec
        yield start.follow(rate, Placing(spec.kl_budgets, len(start.strengths) + spec.placed), records)


def _shortfalls(arm: Arm, plan: Plan) -> Iterator[str]:
    """Sentences on the budgets that a complete arm doesn't bracket."""
    if not arm.complete or not arm.tried:
        return
    furthest = max(one.kl for one in arm.tried)
    who = f"{arm.choice.spec.label} on {arm.model.name}{_which(arm, plan)}"
    for budget in arm.not_bracketed(plan.spec.kl_budgets):
        if furthest < budget:
            yield f"{who} doesn't reach {budget:g} nats: its largest KL is {furthest:.3g}."
        else:
            yield f"{who} has no strengths within 15 % of {budget:g} nats on both sides."


def _which(arm: Arm, plan: Plan) -> str:
    """What distinguishes an arm from the method's others; "" if it is the only one."""
    parts = []
    if len(plan.spec.learning_rates) > 1:
        parts.append(f"learning rate {arm.rate:g}")
    if len(plan.spec.budgets) > 1:
        parts.append(f"{arm.cells[0].spec.training.steps} steps")
    return f" ({', '.join(parts)})" if parts else ""
