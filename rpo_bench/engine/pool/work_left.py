"""How much work is left of a run, by the pace of each phase so far."""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence

from rpo_bench.engine.pool.jobs import Job, Outcome
from rpo_bench.engine.pool.worker import Progress

#: A running job, its last progress, and ``time.monotonic()`` when it began.
Running = tuple[Job, Progress | None, float]

_TELLING = 0.05  # share of a running job's steps that says something of its pace


def work_left(
    jobs: Sequence[Job],
    outcomes: Sequence[Outcome],
    running: Mapping[str, Running],
    skipped: Mapping[str, float],
) -> float | None:
    """Seconds of work that are left, of all workers together; None while nothing is known.

    Expected durations are of the embedded models. A larger one slows each phase by another factor: a pass
    over all rows that begins with reading the model says little of training steps.

    Args:
        jobs: all jobs.
        outcomes: of those that ended.
        running: by key.
        skipped: job → the share done by an earlier run.
    """
    busy, expected = _spent(outcomes, running, skipped)
    if not sum(expected.values()):
        return None
    usual = sum(busy.values()) / sum(expected.values())
    ended = {outcome.job.key for outcome in outcomes}
    left = 0.0
    for job in jobs:
        if job.key not in ended:
            known = expected.get(job.phase)
            pace = busy[job.phase] / known if known else usual
            done = _done(running[job.key], pace) if job.key in running else 0.0
            left += pace * job.seconds * (1 - done)
    return max(0.0, left)


def _spent(
    outcomes: Sequence[Outcome], running: Mapping[str, Running], skipped: Mapping[str, float]
) -> tuple[dict[str, float], dict[str, float]]:
    """Seconds that went into each phase, and that were expected for that part of it."""
    busy, expected = defaultdict[str, float](float), defaultdict[str, float](float)
    for outcome in outcomes:
        if outcome.status == "done":
            job = outcome.job
            busy[job.phase] += outcome.busy_seconds
            expected[job.phase] += job.seconds * (1 - skipped.get(job.key, 0.0))
    for job, progress, since in running.values():
        made = share_of(progress) - skipped.get(job.key, 0.0)
        if made >= _TELLING:
            busy[job.phase] += time.monotonic() - since
            expected[job.phase] += job.seconds * made
    return busy, expected


def _done(one: Running, pace: float) -> float:
    """The finished share of a running job, by its steps or by elapsed time."""
    job, progress, since = one
    if progress is not None and progress.steps:
        return share_of(progress)
    return min(1.0, (time.monotonic() - since) / max(job.seconds * pace, 1e-9))


def share_of(progress: Progress | None) -> float:
    """The share of a job's steps that are done; 0 if it has none."""
    return (
        progress.step / progress.steps if progress is not None and progress.step and progress.steps else 0.0
    )
