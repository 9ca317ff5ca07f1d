"""A worker process: it executes one job at a time, reports progress, and ends with its parent."""

import contextlib
import errno
import gc
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

from rpo_bench.engine.pool.jobs import Job
from rpo_bench.errors import UserError, located
from rpo_bench.plugins.user_code import exit_call
from rpo_bench.processes import die_with_parent

_REPORT_EVERY = 0.2  # seconds between two progress messages of a job


@dataclass(frozen=True)
class Progress:
    """A job's progress: its phase, step, number of steps, and last loss."""

    phase: str
    step: int | None = None
    steps: int | None = None
    loss: float | None = None


@dataclass(frozen=True)
class Done:
    """A job's value and the seconds spent on training, generating and scoring."""

    value: Any = None
    work_seconds: float = 0.0


@dataclass(frozen=True)
class Failed:
    """Why a job failed; ``fatal`` if every further job would fail too (the disk is full)."""

    reason: str
    fatal: bool = False


class Perform(Protocol):
    """Executes a job; must be a module-level function, so that it can be pickled."""

    def __call__(self, job: Job, report: Callable[[Progress], None]) -> Done:
        """Executes the job; an exception fails this job only."""
        ...


def worker_main(pipe: Connection, perform: Perform, threads: int, environment: Mapping[str, str]) -> None:
    """The process's main function: serves jobs from ``pipe`` until it is closed.

    Args:
        pipe: receives Jobs (None: end), sends Progress, then Done or Failed.
        perform: executes a job.
        threads: torch threads per worker.
        environment: the parent's current environment; the fork server may have been started earlier.
    """
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    die_with_parent()
    limit_threads(threads)
    gc.freeze()  # skips the server's imports in collections, which saves a third of a second each
    with contextlib.suppress(EOFError, OSError):  # the parent is gone
        while (job := pipe.recv()) is not None:
            pipe.send(_attempt(job, perform, pipe))


def _attempt(job: Job, perform: Perform, pipe: Connection) -> Done | Failed:
    last = 0.0

    def report(progress: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _REPORT_EVERY:
            last = now
            pipe.send(progress)

    try:
        with output_to(job.log):
            try:
                return perform(job, report)
            except BaseException:
                traceback.print_exc()
                raise
    except (Exception, SystemExit) as error:
        return failure(error)


def failure(error: Exception | SystemExit) -> Failed:
    """Why a job failed, in one sentence."""
    if isinstance(error, UserError):
        return Failed(str(error), fatal=_disk_is_full(error))
    if isinstance(error, SystemExit):
        return Failed(f"A plug-in or one of your functions {exit_call(error)} ({located(error)}).")
    text = " ".join(str(error).split())
    return Failed(f"{type(error).__name__}: {text}"[:500], fatal=_disk_is_full(error))


@contextlib.contextmanager
def output_to(log: Path) -> Iterator[None]:
    """Appends all output of the process, including C libraries, to ``log``."""
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    with log.open("ab", buffering=0) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, kept in enumerate(saved, start=1):
            os.dup2(kept, number)
            os.close(kept)


def _disk_is_full(error: BaseException | None) -> bool:
    """Whether the error, or one of its causes, means a full or read-only disk."""
    while error is not None:
        number = error.errno if isinstance(error, OSError) else None
        # safetensors and tokenizers raise their own types with the system's message
        if number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS) or "No space left on device" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def limit_threads(threads: int) -> None:
    """Sets torch's threads; if torch isn't loaded yet, environment variables do."""
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(threads)
