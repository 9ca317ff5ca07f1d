"""Long-lived worker processes on this machine, replaced when they die."""

import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Self

from rpo_bench.engine.pool.jobs import Job
from rpo_bench.engine.pool.protocol import Event, Lost
from rpo_bench.engine.pool.worker import Perform, Progress, worker_main
from rpo_bench.models.device import VISIBLE
from rpo_bench.processes import without_main
from trainers.launcher import without_launcher

#: Environment of workers: one thread each, and no progress bars or advice from libraries. The fork server's
#: imports look for GPUs: by NVML, as a process that has started CUDA can't be forked.
WORKER_ENVIRONMENT = {
    "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}


def available_cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def worker_context(preload: Sequence[str] = ()) -> BaseContext:
    """The context in which workers start: forked from a server that has imported ``preload`` once.

    The server starts importing at the first call, in parallel with this process.
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
    """Gives processes started inside the block this process's module path, and blocks Ctrl-C in them.

    Python would otherwise put the current folder first on the path. A process interrupted while importing
    would print a traceback. Signals that arrive inside the block reach this process afterwards.
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
    """A worker process and its current job."""

    process: BaseProcess
    pipe: Connection
    gpus: str | None = None
    job: Job | None = None
    since: float = 0.0


class LocalPool:
    """Worker processes, started on demand and kept for later jobs; implements ``Pool``."""

    def __init__(
        self,
        context: BaseContext,
        perform: Perform,
        workers: int,
        threads: int = 1,
        gpu_slots: Sequence[str] = (),
    ) -> None:
        """Creates the pool; processes start with the first jobs.

        Args:
            context: the result of ``worker_context``.
            perform: the function that executes a job.
            workers: the maximum number of processes.
            threads: torch threads per worker.
            gpu_slots: the GPUs of each worker; further workers share them. Empty: there are none.
        """
        self._context = context
        self._perform = perform
        self._threads = threads
        self._gpu_slots = gpu_slots
        self._workers: list[_Worker] = []
        self.capacity = workers

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(self, job: Job) -> None:
        """Gives the job to an idle or a new worker.

        Raises:
            RuntimeError: all workers have a job.
        """
        worker = next((worker for worker in self._workers if worker.job is None), None) or self._start()
        worker.job, worker.since = job, time.monotonic()
        with suppress(OSError):  # it died while idle; ``events`` detects that
            worker.pipe.send(job)

    def events(self, timeout: float) -> list[Event]:
        """At most one message per worker; a closed pipe means that the process has died."""
        busy = [worker for worker in self._workers if worker.job is not None]
        ready = wait([worker.pipe for worker in busy], timeout=timeout)
        return [self._next_event(worker) for worker in busy if worker.pipe in ready]

    def close(self) -> None:
        """Kills all processes."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.pipe.close()
        self._workers.clear()

    def _start(self) -> _Worker:
        if len(self._workers) >= self.capacity:
            raise RuntimeError("all workers have a job")
        ours, theirs = self._context.Pipe()
        environment, gpus = without_launcher(os.environ), self._free_slot()
        if gpus is not None:
            environment[VISIBLE] = gpus
        process = self._context.Process(  # type: ignore[attr-defined]
            target=worker_main,
            args=(theirs, self._perform, self._threads, environment),
            daemon=True,
        )
        with without_main():
            process.start()
        theirs.close()
        self._workers.append(_Worker(process, ours, gpus))
        return self._workers[-1]

    def _free_slot(self) -> str | None:
        """The GPUs that the fewest workers see; None without GPUs."""
        taken = Counter(worker.gpus for worker in self._workers)
        return min(self._gpu_slots, key=lambda slot: taken[slot], default=None)

    def _next_event(self, worker: _Worker) -> Event:
        assert worker.job is not None
        job, busy = worker.job, time.monotonic() - worker.since
        try:
            message = worker.pipe.recv()
        except (EOFError, OSError):
            return Event(job, Lost(self._remove_dead_worker(worker)), busy)
        if not isinstance(message, Progress):
            worker.job = None
        return Event(job, message, busy)

    def _remove_dead_worker(self, worker: _Worker) -> str:
        """Says how it died."""
        worker.process.join()
        worker.pipe.close()
        self._workers.remove(worker)
        code = worker.process.exitcode
        return f"was killed by signal {-code}" if code and code < 0 else f"exited with {code}"
