"""Runs a tuning: cells until every search is complete, then writes the choices."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

from rpo_bench.engine.execute import RunReport, check_gpus, start_workers_early
from rpo_bench.engine.output import begin, check_same_run, only_run
from rpo_bench.engine.plan.cells import PlannedCell
from rpo_bench.engine.plan.plan import Plan, plan_run
from rpo_bench.engine.run import RunCallbacks, RunContext
from rpo_bench.engine.search.arms import Records
from rpo_bench.engine.search.run_search import run_search
from rpo_bench.errors import UserError
from rpo_bench.files.plain_data import shown
from rpo_bench.spec.parsing import MAX_NATS
from rpo_bench.spec.presets import AD_HOC
from rpo_bench.spec.schema import RunSpec
from rpo_bench.tuning.schema import Tuned, write_tuned
from rpo_bench.tuning.search import Effort, Search
from rpo_bench.tuning.variants import checked_variants
from rpo_bench.wording import counted

FILE = "tuned.json"

#: Defaults over the preset's. The choice reads reward and KL of finished checkpoints and nothing else.
DEFAULTS: Mapping[str, Any] = {
    "training": {"probe_every": 0, "keep_checkpoints": "last"},
    "evaluation": {"toxicity": "none"},
}


@dataclass(frozen=True)
class Tuning:
    """The outcome of a tuning.

    Attributes:
        report: the report of the run.
        file: the file of choices.
        tuned: its content; None if cells have no result.
    """

    report: RunReport
    file: Path
    tuned: Tuned | None


def tune(spec: RunSpec, effort: Effort, run_context: RunContext, callbacks: RunCallbacks) -> Tuning:
    """Measures every method's configurations on the tuning prompts, and writes the choices.

    The same call resumes a stopped tuning; a finished tuning writes the same bytes again.

    Args:
        spec: methods, base models, seeds and everything else; strengths and learning rates are searched.
        effort: the effort per method.
        run_context: folders, permissions and workers.
        callbacks: for progress and warnings.

    Raises:
        UserError: the tuning is invalid, or there is no reward.
        KeyboardInterrupt: Ctrl-C; finished stages are kept.
    """
    check_gpus(spec.generation, run_context.runner)
    context = start_workers_early()
    measured = spec.evaluation.model_copy(update={"prompts": "tuning"})
    searched: dict[str, Any] = {
        "strengths": {}, "n_strengths": None, "kl_budgets": (), "learning_rates": (), "tuned": None,
        "budgets": (1,),
    }  # fmt: skip
    variants = checked_variants(spec.methods, effort.rates)
    every = tuple(one for of in variants for one in of)
    spec = spec.model_copy(update={"evaluation": measured, "methods": every, **searched})
    with only_run(run_context.output):
        with callbacks.planning():
            plan = plan_run(spec, run_context.plan_context())
        if plan.task.spec.reward is None and spec.evaluation.reward is None:
            raise UserError(
                "Tuning needs a reward: give one with --reward python:FILE:FUNCTION or hf:FOLDER."
            )
        check_same_run(run_context.output, spec, plan.identity)
        begin(run_context.output, spec, plan.identity)
        for warning in plan.warnings:
            callbacks.note(warning)
        choices = iter(plan.choices)
        groups = [tuple(islice(choices, len(of))) for of in variants]
        searches = [Search(plan, model, group, effort) for model, group in product(plan.models, groups)]
        if not run_context.runner.quiet:
            callbacks.console.print(cost(searches, effort, spec), soft_wrap=True)
        return _run(plan, searches, effort, run_context, callbacks, context)


def effort_of(rates: int, strengths: int, budgets: Sequence[float] | None) -> Effort:
    """The effort per method; raises UserError for invalid settings."""
    if rates < 2 or strengths < 2:
        raise UserError(
            f"{rates} learning rates and {strengths} strengths leave nothing to choose: give two or more of "
            "each."
        )
    effort = Effort(rates, strengths)
    if budgets is None:
        return effort
    found = tuple(sorted(set(map(float, budgets))))
    if not found or not all(0 < budget < MAX_NATS for budget in found):
        raise UserError(
            f"kl_budgets = {shown(budgets)}: give numbers above 0, in nats, such as [0.3, 0.5, 0.75]."
        )
    return replace(effort, budgets=found)


def default_output(spec: RunSpec) -> Path:
    """``runs/tune-<task>``."""
    return Path("runs") / f"tune-{Path(spec.task.removeprefix(AD_HOC)).name}"


def cost(searches: Sequence[Search], effort: Effort, spec: RunSpec) -> str:
    """A sentence on the maximum cost of a tuning."""
    each = effort.rates * effort.strengths * len(spec.seeds)
    return (
        f"{counted(len(searches), 'search', 'searches')} (one for each method and base model) × "
        f"{effort.rates} learning rates × up to {effort.strengths} strengths × "
        f"{counted(len(spec.seeds), 'seed')}: up to {each * len(searches):,} checkpoints of "
        f"{spec.training.steps} steps, and more if a best learning rate is at its grid's edge."
    )


def _run(
    plan: Plan,
    searches: Sequence[Search],
    effort: Effort,
    run_context: RunContext,
    callbacks: RunCallbacks,
    context: BaseContext,
) -> Tuning:
    file = run_context.output.root / FILE
    references = tuple(cell for cell in plan.cells if cell.spec.strength is None)

    def wanted(records: Records) -> dict[str, PlannedCell]:
        if any(cell.spec.hash not in records for cell in references):  # a reference failed
            return {}
        rewards = _reference_rewards(references, records)
        arms = (arm for one in searches for arm in one.arms(records, rewards[one.model.name]))
        return {cell.spec.hash: cell for arm in arms for cell in arm.cells}

    with_references = replace(plan, cells=references)
    done = run_search(
        with_references, wanted, run_context.output, run_context.runner, context, callbacks.console
    )
    if done.report.lost_cells:
        return Tuning(done.report, file, None)
    rewards = _reference_rewards(references, done.records)
    tuned = Tuned(
        task=plan.task.spec.name,
        task_hash=plan.identity.task_hash,
        steps=plan.spec.training.steps,
        budgets=effort.budgets,
        rates=effort.rates,
        strengths=effort.strengths,
        choices=tuple(one.choose(done.records, rewards[one.model.name]) for one in searches),
    )
    write_tuned(file, tuned)
    return Tuning(done.report, file, tuned)


def _reference_rewards(references: Iterable[PlannedCell], records: Records) -> dict[str, float]:
    """Base model → reward of the reference policy on the tuning prompts."""
    found = {}
    for cell in references:
        reward = records[cell.spec.hash].point("reward")
        if reward is None:
            raise UserError(f"The reward returned no number for {cell.spec.model}, which tuning needs.")
        found[cell.spec.model] = reward
    return found
