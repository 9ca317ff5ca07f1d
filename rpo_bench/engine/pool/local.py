"""Worker processes on this machine: long-lived, one torch thread each, replaced when they die."""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Protocol

from rpo_bench.engine.pool.jobs import Job, Outcome, Schedule
from rpo_bench.engine.pool.worker import Done, Failed, Perform, Progress, worker_main
from rpo_bench.errors import UserError
from rpo_bench.processes import without_main

_TICK = 0.25  # seconds between two looks at the clock when nothing happens

#: Set before workers start: one thread each, and no chatter from libraries.
WORKER_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}


class Observer(Protocol):
    """Whoever watches a run; called in the parent process."""

    def started(self, job: Job) -> None:
        """A worker has taken the job."""

    def progress(self, job: Job, progress: Progress) -> None:
        """The job has come a step further."""

    def ended(self, outcome: Outcome) -> None:
        """The job is done, failed or dropped."""

    def tick(self) -> None:
        """Time has passed."""


def available_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def worker_context(preload: Sequence[str] = ()) -> BaseContext:
    """How workers are started: forked from a server that has imported ``preload`` once for all of them.

    The server starts importing at the first call, beside whatever this process does meanwhile.
    """
    for name, value in WORKER_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))
    with _as_this_process():
        forkserver.ensure_running()
    return context


@contextmanager
def _as_this_process() -> Iterator[None]:
    """Processes that are started meanwhile find modules where this one does, and don't hear of Ctrl-C.

    Python would put the current folder before everything, whatever files are in it; and what is interrupted
    while it imports prints its traceback. A signal that comes meanwhile reaches this process afterwards.
    """
    paths = {"PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path), "PYTHONSAFEPATH": "1"}  # noqa: PTH109
    before = {name: os.environ.get(name) for name in paths}
    masked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    os.environ.update(paths)
    try:
        resource_tracker.ensure_running()  # it lets signals through again, so before they are held back
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        signal.pthread_sigmask(signal.SIG_SETMASK, masked)


@dataclass
class _Worker:
    """A worker process, and the job that it is doing."""

    process: BaseProcess
    pipe: Connection
    job: Job | None = None
    since: float = 0.0


class LocalPool:
    """Runs jobs on worker processes; a context manager that leaves no process behind."""

    def __init__(self, context: BaseContext, perform: Perform, workers: int, threads: int = 1) -> None:
        self._context = context
        self._perform = perform
        self._count = workers
        self._threads = threads
        self._workers: list[_Worker] = []

    def __enter__(self) -> "LocalPool":
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.pipe.close()

    def run(self, jobs: Sequence[Job], observer: Observer) -> list[Outcome]:
        """Runs all jobs and says how each ended, in the order of their ends.

        Raises:
            UserError: nothing more can be written; what was done until then is kept.
        """
        return _Run(self, Schedule(jobs, self._count), observer).outcomes()

    def idle(self) -> _Worker | None:
        """A worker without a job, started now if there is room for one more."""
        for worker in self._workers:
            if worker.job is None:
                return worker
        if len(self._workers) >= self._count:
            return None
        ours, theirs = self._context.Pipe()
        process = self._context.Process(  # type: ignore[attr-defined]
            target=worker_main,
            args=(theirs, self._perform, self._threads, dict(os.environ)),
            daemon=True,
        )
        with without_main():
            process.start()
        theirs.close()
        self._workers.append(_Worker(process, ours))
        return self._workers[-1]

    def busy(self) -> list[_Worker]:
        """The workers that have a job."""
        return [worker for worker in self._workers if worker.job is not None]

    def bury(self, worker: _Worker) -> int | None:
        """Forgets a dead worker; returns its exit code."""
        worker.process.join()
        worker.pipe.close()
        self._workers.remove(worker)
        return worker.process.exitcode


class _Run:
    """One call of ``LocalPool.run``."""

    def __init__(self, pool: LocalPool, schedule: Schedule, observer: Observer) -> None:
        self._pool = pool
        self._schedule = schedule
        self._observer = observer
        self._deaths: dict[str, int] = {}
        self._outcomes: list[Outcome] = []

    def outcomes(self) -> list[Outcome]:
        """Serves the workers until every job has ended."""
        while True:
            self._hand_out()
            busy = self._pool.busy()
            if not busy:
                return self._outcomes
            ready = wait([worker.pipe for worker in busy], timeout=_TICK)
            for worker in busy:
                if worker.pipe in ready:
                    self._listen(worker)
            self._observer.tick()

    def _hand_out(self) -> None:
        while not self._schedule.empty and (worker := self._pool.idle()) is not None:
            job = self._schedule.next()
            if job is None:
                return
            worker.job, worker.since = job, time.monotonic()
            try:
                worker.pipe.send(job)
            except OSError:  # it died while idle; _listen finds that out
                continue
            self._observer.started(job)

    def _listen(self, worker: _Worker) -> None:
        """Takes one message; a closed pipe means that the process has died."""
        assert worker.job is not None
        job, busy = worker.job, time.monotonic() - worker.since
        try:
            message = worker.pipe.recv()
        except (EOFError, OSError):
            self._died(job, busy, self._pool.bury(worker))
            return
        if isinstance(message, Progress):
            self._observer.progress(job, message)
            return
        worker.job = None
        if isinstance(message, Done):
            self._schedule.finish(job)
            self._end(Outcome(job, "done", None, busy, message.work_seconds, message.value))
            return
        assert isinstance(message, Failed)
        if message.fatal:
            raise UserError(f"{message.reason} What is done is kept: make room, then run the same again.")
        self._failed(job, message.reason, busy)

    def _died(self, job: Job, busy: float, exit_code: int | None) -> None:
        deaths = self._deaths[job.key] = self._deaths.get(job.key, 0) + 1
        if deaths == 1:
            self._schedule.put_back(job)
            return
        how = (
            f"was killed by signal {-exit_code}"
            if exit_code and exit_code < 0
            else f"exited with {exit_code}"
        )
        self._failed(job, f"Its worker process {how}, twice (out of memory?).", busy)

    def _failed(self, job: Job, reason: str, busy: float) -> None:
        self._end(Outcome(job, "failed", reason, busy))
        for dropped in self._schedule.fail(job):
            self._end(Outcome(dropped, "dropped", f"'{job.cell}: {job.phase}', which it needs, failed."))

    def _end(self, outcome: Outcome) -> None:
        self._outcomes.append(outcome)
        self._observer.ended(outcome)
