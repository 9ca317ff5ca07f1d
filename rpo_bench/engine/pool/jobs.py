"""Jobs, their dependencies, and the order in which workers take them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Kind = Literal["shared", "open", "close"]


@dataclass(frozen=True)
class Job:
    """One stage of a cell, or one artefact shared by several cells.

    Attributes:
        key: Unique among the jobs of a run.
        cell: Its name in progress and logs.
        phase: "train", "generate", "score" …
        kind: "shared": several cells wait for it; "open": starts a cell; "close": continues a started cell.
        needs: Keys of the jobs that must finish first.
        seconds: Expected duration; used only for ordering.
        log: File that receives all output.
        payload: The work item for the worker; picklable.
    """

    key: str
    cell: str
    phase: str
    log: Path
    kind: Kind = "open"
    needs: frozenset[str] = frozenset()
    seconds: float = 1.0
    payload: Any = None


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes:
        status: "done"; "failed": it raised, or its worker died twice; "dropped": a job that it needs failed.
        reason: One sentence when it isn't done.
        busy_seconds: Wall-clock time that a worker spent on it.
        work_seconds: The part spent on training, generating and scoring; the rest is overhead.
        value: Its return value.
    """

    job: Job
    status: Literal["done", "failed", "dropped"]
    reason: str | None = None
    busy_seconds: float = 0.0
    work_seconds: float = 0.0
    value: Any = None


@dataclass
class Schedule:
    """Hands out jobs whose dependencies are finished, longest chain first.

    Shared artefacts come first, as other jobs wait for them. A started cell is finished before the next one
    starts, so that results appear early. Only the last few cells are all started before any is finished, so
    that their short final stages keep all cores busy at the end. In a schedule that grows, where results ask
    for further cells, no cell counts as one of the last.
    """

    jobs: Sequence[Job]
    workers: int
    grows: bool = False
    _waiting: dict[str, Job] = field(init=False)
    _done: set[str] = field(init=False, default_factory=set)
    _chain: dict[str, float] = field(init=False)

    def __post_init__(self) -> None:
        self._waiting = {job.key: job for job in self.jobs}
        if len(self._waiting) != len(self.jobs):
            raise ValueError("two jobs have the same key")
        unknown = {need for job in self.jobs for need in job.needs} - self._waiting.keys()
        if unknown:
            raise ValueError(f"jobs need what no job makes: {sorted(unknown)}")
        self._chain = chain_seconds(self.jobs)

    def add(self, jobs: Sequence[Job]) -> list[Job]:
        """Adds jobs and returns them, without those whose key is known."""
        known = {job.key for job in self.jobs}
        new = [job for job in jobs if job.key not in known]
        if new:
            self.jobs = [*self.jobs, *new]
            self._waiting |= {job.key: job for job in new}
            self._chain = chain_seconds(self.jobs)
        return new

    def next(self) -> Job | None:
        """Takes the best job that can run now; None if there is none."""
        ready = [job for job in self._waiting.values() if job.needs <= self._done]
        if not ready:
            return None
        unopened = sum(job.kind == "open" for job in self._waiting.values())
        last = not self.grows and unopened <= 2 * self.workers
        order = ("shared", "open", "close") if last else ("shared", "close", "open")
        best = min(ready, key=lambda job: (order.index(job.kind), -self._chain[job.key]))
        return self._waiting.pop(best.key)

    def put_back(self, job: Job) -> None:
        """Returns a job whose worker died."""
        self._waiting[job.key] = job

    def finish(self, job: Job) -> None:
        """Marks a job as done."""
        self._done.add(job.key)

    def fail(self, job: Job) -> list[Job]:
        """Drops all jobs that need ``job``, directly or indirectly, and returns them.

        They are forgotten, with ``job`` itself: another cell may ask for it again.
        """
        dropped: list[Job] = []
        gone = {job.key}
        while True:
            more = [other for other in self._waiting.values() if other.needs & gone]
            if not more:
                self.jobs = [other for other in self.jobs if other.key not in gone]
                return dropped
            for other in more:
                gone.add(self._waiting.pop(other.key).key)
            dropped += more

    @property
    def empty(self) -> bool:
        """Whether every job was handed out or dropped."""
        return not self._waiting


def chain_seconds(jobs: Sequence[Job]) -> dict[str, float]:
    """For each job, its expected duration plus that of the longest chain of jobs that waits for it.

    Raises:
        ValueError: the dependencies form a cycle.
    """
    waiting_for: dict[str, list[Job]] = {job.key: [] for job in jobs}
    for job in jobs:
        for need in job.needs:
            waiting_for[need].append(job)
    chain: dict[str, float] = {}
    open_jobs = list(jobs)
    while open_jobs:
        known = [job for job in open_jobs if all(other.key in chain for other in waiting_for[job.key])]
        if not known:
            raise ValueError("jobs need each other in a circle")
        for job in known:
            chain[job.key] = job.seconds + max((chain[o.key] for o in waiting_for[job.key]), default=0.0)
        open_jobs = [job for job in open_jobs if job.key not in chain]
    return chain
