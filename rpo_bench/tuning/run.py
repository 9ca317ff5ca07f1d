"""Tuning from a spec to its file: rounds of cells, until no search wants any more."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

from rpo_bench.engine.matrix import Site, Voice
from rpo_bench.engine.output import Output, begin, check_same_run, only_run
from rpo_bench.engine.plan import Plan, PlannedCell, plan_run
from rpo_bench.engine.run import RunReport, run_plan, start_workers_early
from rpo_bench.errors import UserError
from rpo_bench.results.schema import Record
from rpo_bench.results.store import cell_folder, read_record
from rpo_bench.spec import RunSpec
from rpo_bench.tuning.schema import Tuned, write_tuned
from rpo_bench.tuning.search import Effort, Records, Search

FILE = "tuned.json"


@dataclass(frozen=True)
class Tuning:
    """How a tuning ended.

    Attributes:
        report: of the last round.
        file: where the choices are written.
        tuned: what was written; None where cells have no result.
    """

    report: RunReport
    file: Path
    tuned: Tuned | None


def tune(spec: RunSpec, effort: Effort, site: Site, voice: Voice) -> Tuning:
    """Tries every method's configurations on the tuning prompts, and writes the choices.

    Stopped at any moment, the same call goes on; called again when it is done, it writes the same bytes.

    Args:
        spec: methods, base models, seeds and everything else; strengths and learning rates are searched.
        effort: how much each method gets.
        site: where it happens.
        voice: how it speaks meanwhile.

    Raises:
        UserError: it can't be done, or nothing can be measured by a reward.
        KeyboardInterrupt: Ctrl-C; finished stages are kept.
    """
    context = start_workers_early()
    measured = spec.evaluation.model_copy(update={"prompts": "tuning"})
    searched: dict[str, Any] = {"strengths": {}, "n_strengths": None, "learning_rates": (), "tuned": None}
    spec = spec.model_copy(update={"evaluation": measured, **searched})
    with only_run(site.output):
        with voice.planning():
            plan = plan_run(spec, site.surroundings())
        if plan.task.spec.reward is None and spec.evaluation.reward is None:
            raise UserError(
                "There is no reward to tune by: give one by --reward python:FILE:FUNCTION or hf:FOLDER."
            )
        check_same_run(site.output, spec, plan.identity)
        begin(site.output, spec, plan.identity)
        for warning in plan.warnings:
            voice.note(warning)
        pairs = product(plan.models, plan.choices)
        searches = [Search(plan, model, choice, effort) for model, choice in pairs]
        voice.note(cost(searches, effort, spec))
        return _run(plan, searches, effort, site, voice, context)


def cost(searches: Sequence[Search], effort: Effort, spec: RunSpec) -> str:
    """What a tuning may take, in a sentence."""
    each = effort.rates * effort.strengths * len(spec.seeds)
    return (
        f"{len(searches)} methods and base models × {effort.rates} learning rates × up to {effort.strengths} "
        f"strengths × {len(spec.seeds)} seeds: up to {each * len(searches):,} checkpoints of "
        f"{spec.training.steps} steps, and more where a best learning rate lies on its grid's edge."
    )


def _run(
    plan: Plan, searches: Sequence[Search], effort: Effort, site: Site, voice: Voice, context: BaseContext
) -> Tuning:
    file = site.output.root / FILE
    references = [cell for cell in plan.cells if cell.spec.strength is None]
    cells: dict[str, PlannedCell] = {}
    wanted = {cell.spec.hash: cell for cell in references}
    records: dict[str, Record] = {}
    while wanted.keys() != cells.keys():
        cells = wanted
        round_ = replace(plan, cells=tuple(cells.values()))
        report = run_plan(round_, site.output, site.runner, context, voice.console)
        if report.lost_cells:
            return Tuning(report, file, None)
        records |= _records(site.output, [c for c in cells.values() if c.spec.hash not in records])
        rewards = _reference_rewards(references, records)
        wanted = {**cells, **_wanted(searches, records, rewards)}
    tuned = Tuned(
        task=plan.task.spec.name,
        task_hash=plan.identity.task_hash,
        steps=plan.spec.training.steps,
        budgets=effort.budgets,
        rates=effort.rates,
        strengths=effort.strengths,
        choices=tuple(one.choose(records, rewards[one.model.name]) for one in searches),
    )
    write_tuned(file, tuned)
    return Tuning(report, file, tuned)


def _wanted(
    searches: Iterable[Search], records: Records, rewards: dict[str, float]
) -> dict[str, PlannedCell]:
    """All cells that the searches have come to, by hash."""
    return {
        cell.spec.hash: cell
        for search in searches
        for arm in search.arms(records, rewards[search.model.name])
        for cell in arm.cells
    }


def _records(output: Output, cells: Iterable[PlannedCell]) -> dict[str, Record]:
    return {cell.spec.hash: read_record(cell_folder(output.results, cell.spec)) for cell in cells}


def _reference_rewards(references: Iterable[PlannedCell], records: Records) -> dict[str, float]:
    """Base model → reward of the reference policy on the tuning prompts."""
    found = {}
    for cell in references:
        reward = records[cell.spec.hash].point("reward")
        if reward is None:
            raise UserError(f"The reward gave no number for {cell.spec.model}: there is nothing to tune by.")
        found[cell.spec.model] = reward
    return found
