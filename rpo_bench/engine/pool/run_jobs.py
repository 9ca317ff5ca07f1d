"""Runs jobs on a pool in the order of their dependencies; a job is retried once if its worker dies."""

from collections.abc import Callable, Sequence
from typing import Protocol

from rpo_bench.engine.pool.jobs import Job, Outcome, Schedule
from rpo_bench.engine.pool.protocol import Event, Lost, Pool
from rpo_bench.engine.pool.worker import Done, Failed, Progress
from rpo_bench.errors import UserError

_TICK = 0.25  # seconds between ticks while no event arrives
_DEATHS = 2  # a job fails after this many dead workers


class Observer(Protocol):
    """Observes a run; called in the parent process."""

    def started(self, job: Job) -> None:
        """Called when a worker takes the job."""

    def progress(self, job: Job, progress: Progress) -> None:
        """Called when the job reports progress."""

    def ended(self, outcome: Outcome) -> None:
        """Called when the job is done, failed or dropped."""

    def added(self, jobs: Sequence[Job]) -> None:
        """Called when an outcome has asked for further jobs."""

    def tick(self) -> None:
        """Called at regular intervals."""


def run_jobs(
    pool: Pool,
    jobs: Sequence[Job],
    observer: Observer,
    more: Callable[[Outcome], Sequence[Job]] | None = None,
) -> list[Outcome]:
    """Runs all jobs and returns their outcomes in the order in which they ended.

    Args:
        pool: executes the jobs.
        jobs: the first jobs.
        observer: observes the run.
        more: called with each outcome; returns further jobs. Those whose key is known are ignored.

    Raises:
        UserError: the disk is full or read-only; finished work is kept.
    """
    schedule = Schedule(jobs, pool.capacity, grows=more is not None)
    return _Run(pool, schedule, observer, more or (lambda _: ())).outcomes()


class _Run:
    """One call of ``run_jobs``."""

    def __init__(
        self,
        pool: Pool,
        schedule: Schedule,
        observer: Observer,
        more: Callable[[Outcome], Sequence[Job]],
    ) -> None:
        self._pool = pool
        self._schedule = schedule
        self._observer = observer
        self._more = more
        self._running = 0
        self._deaths: dict[str, int] = {}
        self._outcomes: list[Outcome] = []

    def outcomes(self) -> list[Outcome]:
        """Serves the pool until every job has ended."""
        while True:
            self._hand_out()
            if not self._running:
                return self._outcomes
            for event in self._pool.events(_TICK):
                self._take(event)
            self._observer.tick()

    def _hand_out(self) -> None:
        while self._running < self._pool.capacity and (job := self._schedule.next()) is not None:
            self._pool.submit(job)
            self._running += 1
            self._observer.started(job)

    def _take(self, event: Event) -> None:
        job, what = event.job, event.what
        if isinstance(what, Progress):
            self._observer.progress(job, what)
            return
        self._running -= 1
        if isinstance(what, Lost):
            self._lost(job, what, event.busy_seconds)
        elif isinstance(what, Failed):
            if what.fatal:
                raise UserError(
                    f"{what.reason} Finished work is kept: free disk space and run the command again."
                )
            self._failed(job, what.reason, event.busy_seconds)
        else:
            self._done(job, what, event.busy_seconds)

    def _done(self, job: Job, done: Done, busy: float) -> None:
        self._schedule.finish(job)
        self._end(Outcome(job, "done", None, busy, done.work_seconds, done.value))

    def _lost(self, job: Job, lost: Lost, busy: float) -> None:
        deaths = self._deaths[job.key] = self._deaths.get(job.key, 0) + 1
        if deaths < _DEATHS:
            self._schedule.put_back(job)
        else:
            self._failed(job, f"Its worker process {lost.how}, twice (out of memory?).", busy)

    def _failed(self, job: Job, reason: str, busy: float) -> None:
        self._deaths.pop(job.key, None)  # another cell may ask for the job again
        self._end(Outcome(job, "failed", reason, busy))
        for dropped in self._schedule.fail(job):
            self._end(Outcome(dropped, "dropped", f"'{job.cell}: {job.phase}', which it needs, failed."))

    def _end(self, outcome: Outcome) -> None:
        self._outcomes.append(outcome)
        self._observer.ended(outcome)
        if added := self._schedule.add(self._more(outcome)):
            self._observer.added(added)
