"""Runs missing lm-eval tasks on the base models, then on every checkpoint."""

import logging
from collections.abc import Sequence
from multiprocessing.context import BaseContext

from rich.console import Console

from rpo_bench.engine.execute import Runner, run_jobs
from rpo_bench.engine.output import Output
from rpo_bench.engine.plan.cells import PlannedCell
from rpo_bench.engine.plan.graph import cell_work, has_result
from rpo_bench.engine.plan.plan import Plan
from rpo_bench.engine.pool.jobs import Job, Outcome
from rpo_bench.engine.work import HarnessWork
from rpo_bench.lm_eval.find_tasks import Reader, check_tasks, loaded_tasks, task_manager
from rpo_bench.lm_eval.schema import LmEvalRequest
from rpo_bench.lm_eval.stored import missing
from rpo_bench.results.store import cell_folder, read_record

log = logging.getLogger(__name__)

_PER_TASK = 5.0  # seconds; used only to estimate the time left


def check_harness(request: LmEvalRequest, plan: Plan) -> LmEvalRequest:
    """Checks every task against the plan's models; raises UserError when one can't be run."""
    from rpo_bench.models.loading import load_tokenizer

    around = plan.context
    tasks = loaded_tasks(request.tasks, task_manager(request.tasks, around.include_path))
    readers = [
        Reader.of(
            model.name,
            load_tokenizer(str(model.path), around.trust.trust_remote_code),
            model.is_encoder_decoder,
            model.context,
            model.response_limit,
        )
        for model in plan.models
    ]
    check_tasks(tasks, readers)
    for model in plan.models:
        if model.prompt_format is not None and model.prompt_format.kind == "template":
            log.warning(
                "%s: the text template of --prompt-format isn't applied to lm-eval's tasks; only chat "
                "formats are.", model.name,
            )  # fmt: skip
    return request.model_copy(update={"tasks": tuple(tasks)})


def harness_run(
    plan: Plan, output: Output, request: LmEvalRequest, runner: Runner, context: BaseContext, console: Console
) -> Sequence[Outcome]:
    """Runs the tasks on all measured cells without them; empty if none is missing."""
    jobs = harness_jobs(plan, output, request)
    return run_jobs(jobs, runner, context, console) if jobs else []


def harness_jobs(plan: Plan, output: Output, request: LmEvalRequest) -> list[Job]:
    """One job per cell; a checkpoint's job waits for its base model's, for paired differences."""
    bases = {cell.spec.model_hash: cell for cell in plan.cells if _is_base(cell)}
    jobs: dict[str, Job] = {}
    for cell in sorted(plan.cells, key=lambda cell: not _is_base(cell)):
        if not has_result(output, cell.spec):
            continue
        record = read_record(cell_folder(output.results, cell.spec))
        todo = missing(record, request.tasks, request)
        if not todo or not record.metrics:  # a run that diverged has no checkpoint
            continue
        base = None if _is_base(cell) else bases.get(cell.spec.model_hash)
        needed = _key(base) if base is not None else ""
        work = HarnessWork(
            cell=cell_work(plan, cell, output),
            request=request.model_copy(update={"tasks": tuple(todo)}),
            base=None if base is None else cell_folder(output.resolved.results, base.spec),
            include_path=plan.context.include_path,
        )
        jobs[_key(cell)] = Job(
            key=_key(cell),
            cell=cell.spec.name,
            phase="lm-eval",
            log=output.log(cell.spec.name),
            kind="shared" if base is None else "open",
            needs=frozenset({needed} & jobs.keys()),
            seconds=_PER_TASK * len(todo),
            payload=("lm_eval", work),
        )
    return list(jobs.values())


def _is_base(cell: PlannedCell) -> bool:
    return cell.spec.strength is None and cell.checkpoint is None


def _key(cell: PlannedCell) -> str:
    return f"{cell.spec.hash}:lm_eval"
