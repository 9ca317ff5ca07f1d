"""Tries users' code in a child process with a time limit."""

import faulthandler
import math
import multiprocessing
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess

from rpo_bench.errors import UserError
from rpo_bench.plugins.user_code import exit_call
from rpo_bench.processes import die_with_parent, without_main

#: The environment variable with a trial's time limit in seconds.
SECONDS_VARIABLE = "RPO_BENCH_TRIAL_SECONDS"
_SECONDS = 60.0
_TICK = 0.1  # seconds between checks whether the child is alive
_WELL = "well"


def try_out(work: Callable[[], object], what: str, doing: str) -> None:
    """Runs users' code in a child process, and refuses code that would end or block this process.

    Ordinary exceptions are ignored, as the same code raises them again in this process. In child processes,
    nothing is tried, as the parent already did.

    Args:
        work: The function to run; picklable, as children aren't always forked.
        what: The code's name in messages.
        doing: The action, for messages: ``importing it``.

    Raises:
        UserError: it ended the process, was killed by a signal, or took too long.
    """
    if multiprocessing.parent_process() is not None:
        return
    seconds = _seconds()
    context = _context()
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(theirs, work))  # type: ignore[attr-defined]
    with without_main(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads: the child has none
        process.start()
    theirs.close()
    try:
        _wait(ours, process, seconds)
        said = _said(ours) or _end(process, seconds)
    finally:
        with suppress(OSError):
            os.killpg(process.pid or 0, signal.SIGKILL)  # and its children
        process.kill()
        process.join()
        ours.close()
    if said != _WELL:
        raise UserError(f"{what}: {doing} {said}.")


def _wait(pipe: Connection, process: BaseProcess, seconds: float) -> None:
    """Waits until the child reports, ends, or times out; processes it forked may keep its pipes open."""
    end = time.monotonic() + seconds
    while process.exitcode is None and (left := end - time.monotonic()) > 0:
        if wait([pipe, process.sentinel], timeout=min(left, _TICK)):
            return


def _said(pipe: Connection) -> str | None:
    """The child's report; None if it died without one."""
    with suppress(EOFError, OSError, UnicodeDecodeError):
        if pipe.poll(0):
            return pipe.recv_bytes(1000).decode()
    return None


def _end(process: BaseProcess, seconds: float) -> str:
    process.join(0.1)
    if process.exitcode is None:
        return f"took longer than {seconds:g} s; set {SECONDS_VARIABLE} for a longer limit"
    if process.exitcode >= 0:
        return f"ended the process with exit code {process.exitcode}"
    number = -process.exitcode
    known = number in {one.value for one in signal.Signals}
    return f"killed the process by signal {number}" + (f" ({signal.Signals(number).name})" if known else "")


def _child(pipe: Connection, work: Callable[[], object]) -> None:
    """The child's main function: without output, Ctrl-C (which the parent handles), or exit handlers."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.disable()
    die_with_parent()
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(0), *(os.fdopen(number, "w") for number in (1, 2)))
    if "torch" in sys.modules:  # its threads weren't forked
        sys.modules["torch"].set_num_threads(1)
    said = _WELL
    try:
        work()
    except Exception:
        pass
    except SystemExit as error:
        said = exit_call(error)
    except BaseException as error:
        said = f"raised {type(error).__name__}"
    with suppress(OSError):
        pipe.send_bytes(said.encode(errors="replace"))
    os._exit(0)  # ignores remaining threads and exit handlers


def _context() -> BaseContext:
    """The start method for children: fork, which takes milliseconds, unless a GPU may be in use.

    CUDA doesn't survive a fork: a reward that needs it would fail only in the child.
    """
    forks = sys.platform == "linux" and "fork" in multiprocessing.get_all_start_methods()
    torch = sys.modules.get("torch")
    if not forks or (torch is not None and torch.cuda.is_available()):
        return multiprocessing.get_context("spawn")
    return multiprocessing.get_context("fork")


def _seconds() -> float:
    text = os.environ.get(SECONDS_VARIABLE, "")
    try:
        found = float(text or _SECONDS)
    except ValueError:
        found = math.nan
    if not (math.isfinite(found) and found > 0):
        raise UserError(f"{SECONDS_VARIABLE}={text[:80]}: it must be a number of seconds above 0.")
    return found
