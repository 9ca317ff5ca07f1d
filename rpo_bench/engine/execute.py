"""A run: what is left of a plan, done by worker processes, and what came of it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.context import BaseContext
from pathlib import Path

from rich.console import Console

from rpo_bench.engine.output import Output
from rpo_bench.engine.plan.graph import Todo, outstanding
from rpo_bench.engine.plan.plan import Plan
from rpo_bench.engine.pool.jobs import Job, Outcome
from rpo_bench.engine.pool.local import LocalPool, available_cores, worker_context
from rpo_bench.engine.pool.progress import clock, watching
from rpo_bench.engine.pool.run_jobs import run_jobs as on_pool
from rpo_bench.engine.pool.worker import Done, Progress
from rpo_bench.wording import counted

#: What the server that workers are forked from imports, once for all of them.
PRELOAD = ("rpo_bench.engine.stages.dispatch",)


@dataclass(frozen=True)
class Runner:
    """How the work is done; none of it changes a result.

    Attributes:
        workers: processes; None: as many as there are cores, but no more than jobs.
        threads: of torch, per worker.
        quiet: show nothing meanwhile.
        started_at: ``time.monotonic()`` when the command started.
    """

    workers: int | None = None
    threads: int = 1
    quiet: bool = False
    started_at: float = 0.0

    def count(self, jobs: int) -> int:
        """How many workers so many jobs get."""
        return max(1, min(self.workers or available_cores(), jobs))


@dataclass(frozen=True)
class RunReport:
    """What came of a run.

    Attributes:
        outcomes: of all jobs, in the order of their ends.
        already: cells that were done before.
        wall: seconds from the command's start to the last job's end.
        workers: processes that did it.
    """

    outcomes: tuple[Outcome, ...]
    already: int
    wall: float
    workers: int

    @property
    def failures(self) -> list[Outcome]:
        """The jobs that failed by themselves."""
        return [outcome for outcome in self.outcomes if outcome.status == "failed"]

    @property
    def lost_cells(self) -> set[str]:
        """The cells that have no result."""
        own = [outcome for outcome in self.outcomes if outcome.job.kind != "shared"]
        return {outcome.job.cell for outcome in own if outcome.status != "done"}

    @property
    def finished_cells(self) -> set[str]:
        """The cells that got their result in this run."""
        own = [outcome for outcome in self.outcomes if outcome.job.kind != "shared"]
        return {outcome.job.cell for outcome in own} - self.lost_cells

    @property
    def overhead(self) -> float | None:
        """The share of wall time × workers that went into neither training, generating nor scoring."""
        total = self.wall * self.workers
        if not self.outcomes or total <= 0:
            return None
        return 1.0 - sum(outcome.work_seconds for outcome in self.outcomes) / total


def start_workers_early() -> BaseContext:
    """Lets the workers' server import torch while this process is still planning."""
    return worker_context(PRELOAD)


def run_plan(plan: Plan, output: Output, runner: Runner, context: BaseContext, console: Console) -> RunReport:
    """Does what is left of a plan.

    Raises:
        UserError: nothing more can be written.
        KeyboardInterrupt: Ctrl-C; finished stages are kept.
    """
    todo = outstanding(plan, output, runner.threads)
    if not todo.jobs:
        return RunReport((), len(todo.done), time.monotonic() - runner.started_at, 0)
    return _run(todo, runner, context, console)


def run_job(job: Job, runner: Runner, context: BaseContext, console: Console) -> Outcome:
    """Does one job that belongs to no cell, in a worker that is forked from the same server."""
    (outcome,) = _run(Todo((job,), ()), runner, context, console).outcomes
    return outcome


def run_jobs(
    jobs: Sequence[Job], runner: Runner, context: BaseContext, console: Console
) -> Sequence[Outcome]:
    """Does jobs beyond the plan's cells, in workers that are forked from the same server."""
    return _run(Todo(tuple(jobs), ()), runner, context, console).outcomes


def _run(todo: Todo, runner: Runner, context: BaseContext, console: Console) -> RunReport:
    workers = runner.count(len(todo.jobs))
    with (
        watching(todo.jobs, workers, len(todo.done), console, runner.quiet) as observer,
        LocalPool(context, perform, workers, runner.threads) as pool,
    ):
        outcomes = on_pool(pool, todo.jobs, observer)
    return RunReport(tuple(outcomes), len(todo.done), time.monotonic() - runner.started_at, workers)


def perform(job: Job, report: Callable[[Progress], None]) -> Done:
    """Hands a job to ``rpo_bench.engine.stages.dispatch``, which this process need not import."""
    from rpo_bench.engine.stages import dispatch

    return dispatch.perform(job, report)


def summary(report: RunReport) -> list[str]:
    """What came of a run, in sentences."""
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
    """Which cells have no result, and why: one line per cause."""
    lines = [f"{counted(len(lost), 'cell')} without a result:"]
    lines += [f"  {o.job.cell}: {o.job.phase} failed: {o.reason} Log: {_short(o.job.log)}" for o in failures]
    return lines


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
