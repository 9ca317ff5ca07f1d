"""Executes the unfinished jobs of a plan in worker processes and reports their outcomes."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from multiprocessing.context import BaseContext
from pathlib import Path

from rich.console import Console

from rpo_bench.engine.output import Output
from rpo_bench.engine.plan.graph import outstanding
from rpo_bench.engine.plan.memory import Parallel
from rpo_bench.engine.plan.plan import Plan
from rpo_bench.engine.plan.resources import Resources
from rpo_bench.engine.pool.gpus import gpu_slots, visible_gpus
from rpo_bench.engine.pool.jobs import Job, Outcome
from rpo_bench.engine.pool.local import LocalPool, available_cores, worker_context
from rpo_bench.engine.pool.progress import clock, watching
from rpo_bench.engine.pool.run_jobs import run_jobs as on_pool
from rpo_bench.engine.pool.worker import Done, Progress
from rpo_bench.errors import UserError
from rpo_bench.spec.sections import GenerationSpec
from rpo_bench.wording import counted

#: Modules that the fork server imports once for all workers.
PRELOAD = ("rpo_bench.engine.stages.dispatch",)


@dataclass(frozen=True)
class Runner:
    """How jobs are executed. No setting here changes a result.

    Attributes:
        workers: number of processes; None: one per slot of GPUs, or per core without them.
        threads: torch threads per worker.
        quiet: show no progress.
        started_at: ``time.monotonic()`` when the command started.
        gpus_per_cell: GPUs that a worker sees, and trains a model on; without GPUs, its processes.
        parallel: whether they each keep all weights.
    """

    workers: int | None = None
    threads: int = 1
    quiet: bool = False
    started_at: float = 0.0
    gpus_per_cell: int = 1
    parallel: Parallel = "auto"

    @property
    def resources(self) -> Resources:
        """What each cell gets."""
        return Resources(self.threads, self.gpus_per_cell, self.parallel)

    @cached_property
    def gpu_slots(self) -> tuple[str, ...]:
        """The GPUs of each worker; raises UserError if there are too few."""
        return gpu_slots(visible_gpus(), self.gpus_per_cell)

    @property
    def most(self) -> int:
        """The largest number of workers."""
        return self.workers or len(self.gpu_slots) or max(1, available_cores() // self.gpus_per_cell)

    def count(self, jobs: int) -> int:
        """The number of workers for this many jobs."""
        return max(1, min(self.most, jobs))


@dataclass(frozen=True)
class RunReport:
    """The outcome of a run.

    Attributes:
        outcomes: the outcomes of all jobs, in the order in which they ended.
        already: number of cells that were finished before this run.
        wall: seconds from the start of the command to the end of the last job.
        workers: number of worker processes.
    """

    outcomes: tuple[Outcome, ...]
    already: int
    wall: float
    workers: int

    @property
    def failures(self) -> list[Outcome]:
        """The jobs that failed, without those that were dropped because of them."""
        return [outcome for outcome in self.outcomes if outcome.status == "failed"]

    @property
    def lost_cells(self) -> set[str]:
        """The cells without a result."""
        own = [outcome for outcome in self.outcomes if outcome.job.kind != "shared"]
        return {outcome.job.cell for outcome in own if outcome.status != "done"}

    @property
    def finished_cells(self) -> set[str]:
        """The cells whose results this run produced."""
        own = [outcome for outcome in self.outcomes if outcome.job.kind != "shared"]
        return {outcome.job.cell for outcome in own} - self.lost_cells

    @property
    def overhead(self) -> float | None:
        """The share of worker time that was not spent on training, generating or scoring."""
        total = self.wall * self.workers
        if not self.outcomes or total <= 0:
            return None
        return 1.0 - sum(outcome.work_seconds for outcome in self.outcomes) / total


def check_gpus(generation: GenerationSpec, runner: Runner) -> None:
    """Refuses more GPUs per worker than there are, and an engine that spans more than a worker sees."""
    shared = generation.vllm.tensor_parallel_size if generation.backend == "vllm" else 1
    if runner.gpu_slots and shared > runner.gpus_per_cell:
        raise UserError(
            f"tensor_parallel_size={shared} spreads vLLM over {shared} GPUs, and a worker sees "
            f"{runner.gpus_per_cell}: add --gpus-per-cell {shared}."
        )


def start_workers_early() -> BaseContext:
    """Starts the fork server, so that it imports torch while this process is planning."""
    return worker_context(PRELOAD)


def run_plan(plan: Plan, output: Output, runner: Runner, context: BaseContext, console: Console) -> RunReport:
    """Executes the unfinished jobs of a plan.

    Raises:
        UserError: the disk is full or read-only.
        KeyboardInterrupt: Ctrl-C; finished stages are kept.
    """
    todo = outstanding(plan, output)
    if not todo.jobs:
        return RunReport((), len(todo.done), time.monotonic() - runner.started_at, 0)
    return _run(todo.jobs, len(todo.done), runner, context, console)


def run_growing(
    jobs: Sequence[Job],
    more: Callable[[Outcome], Sequence[Job]],
    already: int,
    runner: Runner,
    context: BaseContext,
    console: Console,
) -> RunReport:
    """Executes jobs, and the further jobs that their outcomes ask for.

    Args:
        jobs: the first jobs.
        more: called with each outcome; returns further jobs.
        already: number of cells that were finished before.
        runner: how jobs are executed.
        context: the multiprocessing context of workers.
        console: the console for progress.

    Raises:
        UserError: the disk is full or read-only.
        KeyboardInterrupt: Ctrl-C; finished stages are kept.
    """
    if not jobs:
        return RunReport((), already, time.monotonic() - runner.started_at, 0)
    return _run(jobs, already, runner, context, console, more)


def run_job(job: Job, runner: Runner, context: BaseContext, console: Console) -> Outcome:
    """Executes one job that belongs to no cell, in a worker of the same fork server."""
    (outcome,) = _run([job], 0, runner, context, console).outcomes
    return outcome


def run_jobs(
    jobs: Sequence[Job], runner: Runner, context: BaseContext, console: Console
) -> Sequence[Outcome]:
    """Executes jobs outside the plan's cells, in workers of the same fork server."""
    return _run(jobs, 0, runner, context, console).outcomes


def _run(
    jobs: Sequence[Job],
    already: int,
    runner: Runner,
    context: BaseContext,
    console: Console,
    more: Callable[[Outcome], Sequence[Job]] | None = None,
) -> RunReport:
    workers = runner.count(len(jobs)) if more is None else runner.most
    with (
        watching(jobs, workers, already, console, runner.quiet) as observer,
        LocalPool(context, perform, workers, runner.threads, runner.gpu_slots) as pool,
    ):
        outcomes = on_pool(pool, jobs, observer, more)
    return RunReport(tuple(outcomes), already, time.monotonic() - runner.started_at, workers)


def perform(job: Job, report: Callable[[Progress], None]) -> Done:
    """Executes a job by ``rpo_bench.engine.stages.dispatch``, which is imported in workers only."""
    from rpo_bench.engine.stages import dispatch

    return dispatch.perform(job, report)


def summary(report: RunReport) -> list[str]:
    """The outcome of a run in sentences."""
    if not report.outcomes:
        return [f"All {counted(report.already, 'cell')} were done already; nothing was computed."]
    already = f", {report.already} were done already" if report.already else ""
    lines = [
        f"{counted(len(report.finished_cells), 'cell')} done in {clock(report.wall)} on "
        f"{counted(report.workers, 'worker')}{already}."
    ]
    if report.overhead is not None:
        lines.append(
            f"Overhead: {100 * report.overhead:.1f} % of wall × workers went into neither training, "
            "generating nor scoring."
        )
    return lines


def failure_lines(failures: Sequence[Outcome], lost: set[str]) -> list[str]:
    """The cells without a result and the reasons: one line per failed job."""
    lines = [f"{counted(len(lost), 'cell')} without a result:"]
    lines += [f"  {o.job.cell}: {o.job.phase} failed: {o.reason} Log: {_short(o.job.log)}" for o in failures]
    return lines


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
