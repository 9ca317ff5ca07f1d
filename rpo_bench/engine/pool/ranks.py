"""Starts the processes that train one model together, and hears how they end."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from rpo_bench.engine.pool.gpus import gpu_slots, visible_gpus
from rpo_bench.engine.pool.local import WORKER_ENVIRONMENT
from rpo_bench.engine.pool.rank_process import RankPlan, RankWork, RanOut
from rpo_bench.engine.pool.worker import Done, Failed, Progress
from rpo_bench.errors import UserError
from rpo_bench.models.device import VISIBLE
from trainers.launcher import without_launcher
from trainers.memory import OutOfMemoryError

_MAIN = "from rpo_bench.engine.pool.rank_process import main; main({descriptor})"


def run_ranks(
    function: Callable[..., Any],
    arguments: Sequence[Any],
    plan: RankPlan,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Any:
    """Calls a function in several processes at once, which share the work; returns the first one's result.

    Args:
        function: of a module; called with ``Ranks``, the arguments, and a function that reports progress.
        arguments: picklable.
        plan: how many processes.
        report: called with the first process's progress.

    Raises:
        OutOfMemoryError: memory ran out in one of them.
        UserError: one of them failed or died.
    """
    with (
        tempfile.TemporaryDirectory(prefix="rpo-bench-ranks-") as folder,
        _started(plan) as ranks,
    ):
        store = Path(folder, "store")
        for number, (_, pipe) in enumerate(ranks):
            pipe.send(RankWork(function, tuple(arguments), number, plan, store))
        return _results(ranks, report)[0]


_Rank = tuple["subprocess.Popen[bytes]", Connection]


@contextmanager
def _started(plan: RankPlan) -> Iterator[list[_Rank]]:
    """The processes and their pipes; they are killed at the end, which finds them idle or of no more use."""
    found: list[_Rank] = []
    gpus = visible_gpus()
    gpu_slots(gpus, plan.count)  # checks that there are as many
    try:
        for number in range(plan.count):
            ours, theirs = Pipe()
            command = [sys.executable, "-P", "-c", _MAIN.format(descriptor=theirs.fileno())]
            environment = rank_environment(number, os.environ, plan.threads, gpus)
            # Ctrl-C reaches a whole group: whoever started them decides.
            process = subprocess.Popen(command, env=environment, pass_fds=[theirs.fileno()], process_group=0)
            theirs.close()
            found.append((process, ours))
        yield found
    finally:
        for process, pipe in found:
            process.kill()
            process.wait()
            pipe.close()


def _results(ranks: Sequence[_Rank], report: Callable[[Progress], None]) -> list[Any]:
    """What each process returned."""
    found: dict[int, Any] = {}
    while len(found) < len(ranks):
        open_ones = {pipe: number for number, (_, pipe) in enumerate(ranks) if number not in found}
        for pipe in wait([*open_ones]):
            assert isinstance(pipe, Connection)
            number = open_ones[pipe]
            match _message(ranks[number], number):
                case Progress() as progress:
                    report(progress)
                case Done(value=value):
                    found[number] = value
                case RanOut(rows=rows, least=least):
                    raise OutOfMemoryError(rows, least)
                case Failed(reason=reason):
                    raise UserError(reason)
    return [found[number] for number in range(len(ranks))]


def _message(rank: _Rank, number: int) -> Any:
    """The next message of a rank, whose death is one."""
    process, pipe = rank
    try:
        return pipe.recv()
    except (EOFError, OSError):
        code = process.wait()
        how = f"was killed by signal {-code}" if code < 0 else f"exited with {code}"
        return Failed(f"Process {number} of those that train this model {how}: its log says more.")


def rank_environment(
    number: int, environment: Mapping[str, str], threads: int, gpus: Sequence[str]
) -> dict[str, str]:
    """The variables of a process: it sees one GPU of those that its cell has.

    Args:
        number: which process.
        environment: of this process, which sees all of the cell's GPUs.
        threads: of torch.
        gpus: that this process may use.
    """
    found = WORKER_ENVIRONMENT | without_launcher(environment) | {"OMP_NUM_THREADS": str(threads)}
    found["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    if sys.platform == "linux":
        found.setdefault("GLOO_SOCKET_IFNAME", "lo")  # they are on one machine, whose name may lead nowhere
    if gpus:
        found[VISIBLE] = gpus[number]
    return found
