"""The unfinished part of a plan as a graph of jobs."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rpo_bench.engine.output import Output
from rpo_bench.engine.plan.cells import PlannedCell
from rpo_bench.engine.plan.plan import Plan
from rpo_bench.engine.plan.resources import is_sharded
from rpo_bench.engine.plan.tuned_records import tuned_extra
from rpo_bench.engine.pool.jobs import Job
from rpo_bench.engine.pool.rank_process import RankPlan
from rpo_bench.engine.work import CellWork, Stage
from rpo_bench.results.places import from_here
from rpo_bench.results.store import BrokenRecord, cell_folder, read_record
from rpo_bench.spec.command import Given, eval_command, train_and_eval_command
from rpo_bench.spec.presets import AD_HOC
from rpo_bench.spec.schema import CellSpec
from rpo_bench.tasks.source import named_files
from trainers.objective import Need

# Seconds on one core with the embedded model; used only to order jobs and to estimate the time left.
_PER_ROW = 4e-4
_PER_SAMPLE = 3e-4
_PER_CELL = 0.5


@dataclass(frozen=True)
class Todo:
    """The unfinished jobs of a plan and the finished cells."""

    jobs: tuple[Job, ...]
    done: tuple[PlannedCell, ...]


def outstanding(plan: Plan, output: Output) -> Todo:
    """Makes a job for every artefact of a plan that doesn't exist yet."""
    jobs: list[Job] = []
    done: list[PlannedCell] = []
    for cell in plan.cells:
        if has_result(output, cell.spec):
            done.append(cell)
        else:
            jobs += _cell_jobs(plan, cell, output)
    unique = {job.key: job for job in jobs}  # a shared job appears once per cell that needs it
    return Todo(tuple(unique.values()), tuple(done))


def has_result(output: Output, spec: CellSpec) -> bool:
    """Whether the cell has a valid record."""
    try:
        return read_record(cell_folder(output.results, spec)).cell == spec.hash
    except BrokenRecord:
        return False


def _cell_jobs(plan: Plan, cell: PlannedCell, output: Output) -> Iterator[Job]:
    work = cell_work(plan, cell, output)
    spec, samples = cell.spec, len(plan.task.heldout[: cell.spec.evaluation.limit])
    samples *= spec.evaluation.n_samples
    needs: frozenset[str] = frozenset()
    log = output.log(spec.name)

    def job(stage: Stage, seconds: float, opens: bool) -> Job:
        return Job(
            key=f"{spec.hash}:{stage}",
            cell=spec.name,
            phase=stage,
            log=log,
            kind="open" if opens else "close",
            needs=needs,
            seconds=seconds,
            payload=(stage, work),
        )

    opens = True
    if cell.trained and not (output.training(spec) / "fit.json").is_file():
        # An online method samples its own rows: it doesn't need the logged ones' log-probs.
        shared = [] if cell.samples_policy else list(_shared_jobs(plan, cell, output, work))
        yield from shared
        needs = frozenset(item.key for item in shared)
        rows = spec.training.steps * spec.training.batch_size
        yield job("train", rows * _PER_ROW * cell.step_cost, opens)
        needs, opens = frozenset({f"{spec.hash}:train"}), False
    if not (output.samples(spec) / "samples.jsonl.gz").is_file():
        yield job("generate", samples * _PER_SAMPLE + _PER_CELL, opens)
        needs, opens = frozenset({f"{spec.hash}:generate"}), False
    yield job("score", samples * _PER_SAMPLE + _PER_CELL, opens)


def _shared_jobs(plan: Plan, cell: PlannedCell, output: Output, work: CellWork) -> Iterator[Job]:
    """Jobs for the reference's log-probs of the rows and, if needed, of a seed's mismatched pairs."""
    spec = cell.spec
    name = f"reference-{spec.model}-{spec.model_hash[:8]}"
    rows = Job(
        key=f"shared:{name}",
        cell=name,
        phase="reference",
        log=output.log(name),
        kind="shared",
        seconds=len(plan.data[spec.model].rows) * _PER_ROW / 3,
        payload=("reference", work),
    )
    yield rows
    if Need.KL_PARTNER not in cell.needs:
        return
    pairs = f"{name}-pairs-{spec.seed}"
    yield Job(
        key=f"shared:{pairs}",
        cell=pairs,
        phase="reference",
        log=output.log(pairs),
        kind="shared",
        needs=frozenset({rows.key}),
        seconds=spec.training.steps * spec.training.batch_size * _PER_ROW / 3,
        payload=("partners", work),
    )


def cell_work(plan: Plan, cell: PlannedCell, output: Output) -> CellWork:
    """The work item of a cell, sent to workers."""
    around = plan.context
    method = cell.method if cell.trained else None
    sharded = is_sharded(cell.spec, method, around.resources, around.trust.trust_remote_code)
    return CellWork(
        spec=cell.spec,
        strength_name=cell.strength_name,
        architecture=cell.model.architecture,
        task_folder=plan.task.folder.resolve(),
        output=output.resolved,
        trust=around.trust,
        processes=RankPlan(around.resources.gpus, sharded, around.resources.threads),
        checkpoint=cell.checkpoint,
        command=_command(plan, cell),
        heldout_folder=plan.task.heldout_folder,
        tuned=tuned_extra(plan.spec, cell.spec),
    )


def _command(plan: Plan, cell: PlannedCell) -> str:
    task = "" if plan.spec.task.startswith(AD_HOC) else plan.spec.task
    elsewhere = cell.model.hub or from_here(Path(cell.spec.model_path))
    model = cell.spec.model if cell.spec.model in plan.task.spec.models else elsewhere
    around = plan.context
    named = named_files() if plan.task.spec.source is not None else {}
    files = ",".join(f"{split}={file}" for split, file in named.items())
    data = plan.spec.data
    given = Given(
        task,
        model,
        around.include_path,
        around.trust,
        plan.spec.prompt_format,
        files,
        data.long,
        data.max_length,
    )
    if cell.checkpoint is not None:
        return eval_command(cell.spec, from_here(cell.checkpoint), given)
    return train_and_eval_command(cell.spec, given)
