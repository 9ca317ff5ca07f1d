"""The main function of a rank: one of the processes that train a model together."""

import contextlib
import ctypes
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from rpo_bench.engine.pool.worker import Done, Failed, Progress, failure, limit_threads


@dataclass(frozen=True)
class RankPlan:
    """How many processes train a cell's model.

    Attributes:
        count: of processes, each with a GPU where there are any.
        sharded: whether each keeps a part of the weights (FSDP2), or all keep all.
        threads: torch threads of each.
    """

    count: int = 1
    sharded: bool = False
    threads: int = 1


@dataclass(frozen=True)
class RankWork:
    """What a rank is to do.

    Attributes:
        function: called with the rank, the arguments and a function that reports progress; of a module.
        arguments: picklable.
        rank: from 0.
        plan: how many there are.
        store: the file by which the ranks find each other.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    rank: int
    plan: RankPlan
    store: Path


@dataclass(frozen=True)
class RanOut:
    """Memory ran out with some rows at a time; below ``least`` there is no point in going on."""

    rows: int
    least: int
    reason: str


def main(descriptor: int) -> None:
    """Runs the work that the pipe brings.

    Args:
        descriptor: of the pipe: it brings a RankWork, and takes Progress, then Done, Failed or RanOut.
    """
    if sys.platform == "linux":  # it ends with the process that started it
        ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    with Connection(descriptor) as pipe, contextlib.suppress(EOFError, OSError):  # that process is gone
        _run(pipe.recv(), pipe)


def _run(work: RankWork, pipe: Connection) -> None:
    from trainers.device import process_device
    from trainers.ranks import Ranks, joined

    limit_threads(work.plan.threads)
    ranks = Ranks(work.rank, work.plan.count, work.plan.sharded)

    def report(progress: Progress) -> None:
        if ranks.first:
            pipe.send(progress)

    with joined(ranks, work.store, process_device()):
        pipe.send(_outcome(work, ranks, report))
        pipe.recv()  # a rank that left now would make others fail, whose messages would come before its own


def _outcome(work: RankWork, ranks: Any, report: Callable[[Progress], None]) -> Done | Failed | RanOut:
    from trainers.memory import OutOfMemoryError

    try:
        return Done(work.function(ranks, *work.arguments, report))
    except OutOfMemoryError as error:
        return RanOut(error.rows, error.least, str(error))
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        return failure(error)
