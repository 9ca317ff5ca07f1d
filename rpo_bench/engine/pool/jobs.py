"""Jobs, what they need from each other, and in which order workers take them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Kind = Literal["shared", "open", "close"]


@dataclass(frozen=True)
class Job:
    """One stage of one cell, or one artefact that several cells share.

    Attributes:
        key: Unique among the jobs of a run.
        cell: The name under which it is shown and logged.
        phase: "train", "generate", "score" …
        kind: "shared": several cells wait for it; "open": begins a cell; "close": carries a started cell on.
        needs: Keys of the jobs that must be done first.
        seconds: How long it is expected to take; decides the order and nothing else.
        log: Where everything that it prints goes.
        payload: What the worker is told; picklable.
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
        status: "done"; "failed": it raised, or its worker died twice; "dropped": one that it needs failed.
        reason: One sentence when it isn't done.
        busy_seconds: Wall time that a worker spent on it.
        work_seconds: The part of that in training, generating and scoring; the rest is the harness's.
        value: What it returned.
    """

    job: Job
    status: Literal["done", "failed", "dropped"]
    reason: str | None = None
    busy_seconds: float = 0.0
    work_seconds: float = 0.0
    value: Any = None


@dataclass
class Schedule:
    """Hands out jobs whose needs are met, longest chain first, both ends of the run busy.

    Shared artefacts come first, for others wait on them. A started cell is carried to its end before the next
    one starts, so that finished results appear early; only the last few cells are all started before any is
    finished, so that their short last stages fill up the cores at the end.
    """

    jobs: Sequence[Job]
    workers: int
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

    def next(self) -> Job | None:
        """Takes the best job that can run now; None when there is none (now)."""
        ready = [job for job in self._waiting.values() if job.needs <= self._done]
        if not ready:
            return None
        unopened = sum(job.kind == "open" for job in self._waiting.values())
        order = ("shared", "open", "close") if unopened <= 2 * self.workers else ("shared", "close", "open")
        best = min(ready, key=lambda job: (order.index(job.kind), -self._chain[job.key]))
        return self._waiting.pop(best.key)

    def put_back(self, job: Job) -> None:
        """Returns a job whose worker died."""
        self._waiting[job.key] = job

    def finish(self, job: Job) -> None:
        """Marks a job as done."""
        self._done.add(job.key)

    def fail(self, job: Job) -> list[Job]:
        """Takes out everything that needs ``job``, directly or not, and returns it."""
        dropped: list[Job] = []
        gone = {job.key}
        while True:
            more = [other for other in self._waiting.values() if other.needs & gone]
            if not more:
                return dropped
            for other in more:
                gone.add(self._waiting.pop(other.key).key)
            dropped += more

    @property
    def empty(self) -> bool:
        """Whether every job was handed out or dropped."""
        return not self._waiting


def chain_seconds(jobs: Sequence[Job]) -> dict[str, float]:
    """For each job, its expected length and that of the longest chain of jobs that waits for it.

    Raises:
        ValueError: jobs need each other in a circle.
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
