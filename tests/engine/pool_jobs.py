"""What workers are asked to do in test_engine_local.py; importable from them."""

import errno
import os
import signal
import sys
import time
from pathlib import Path

from rpo_bench.engine.pool.worker import Done, Progress
from rpo_bench.errors import UserError


def perform(job, report):
    what, argument = job.payload
    return ACTIONS[what](argument, report)


def value(argument, report):
    return Done(argument, 0.01)


def pid(argument, report):
    return Done(os.getpid())


def steps(argument, report):
    for step in range(argument):
        report(Progress("train", step, argument, 1.0 / (step + 1)))
        time.sleep(0.25)
    return Done()


def sleep(argument, report):
    time.sleep(argument)
    return Done()


def raise_(argument, report):
    sys.stdout.write("on the way to the error\n")
    raise ValueError(f"broken: {argument}")


def user_error(argument, report):
    raise UserError(argument)


def disk_full(argument, report):
    error = OSError(errno.ENOSPC, "No space left on device", argument)
    raise UserError(f"{argument} can't be written: No space left on device.") from error


def die(argument, report):
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(argument, report):
    if Path(argument).exists():
        return Done("second time")
    Path(argument).touch()
    return os.kill(os.getpid(), signal.SIGKILL)


def gpus(argument, report):
    return Done(os.environ.get("CUDA_VISIBLE_DEVICES"))


def variable(argument, report):
    return Done(os.environ.get(argument))


def meet(argument, report):
    """Waits until as many workers are here, so that no worker takes two of the jobs."""
    folder, count = Path(argument[0]), argument[1]
    folder.mkdir(exist_ok=True)
    (folder / str(os.getpid())).touch()
    while len(list(folder.iterdir())) < count:
        time.sleep(0.01)
    return gpus(None, report)


def touch_forever(argument, report):
    while True:
        Path(argument).write_text(f"{os.getpid()}")
        time.sleep(0.02)


ACTIONS = {
    f.__name__.rstrip("_"): f
    for f in (value, pid, steps, sleep, raise_, user_error, disk_full, die, die_once, touch_forever)
} | {f.__name__: f for f in (gpus, variable, meet)}
