"""The protocol of a worker pool: it takes jobs and returns events."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from rpo_bench.engine.pool.jobs import Job
from rpo_bench.engine.pool.worker import Done, Failed, Progress


@dataclass(frozen=True)
class Lost:
    """A job's worker died.

    Attributes:
        how: a predicate for "Its worker process", such as "was killed by signal 9".
    """

    how: str


@dataclass(frozen=True)
class Event:
    """A message about a job.

    Attributes:
        job: the submitted job.
        what: its progress, or how it ended.
        busy_seconds: seconds since it was submitted.
    """

    job: Job
    what: Progress | Done | Failed | Lost
    busy_seconds: float


class Pool(Protocol):
    """Workers that execute one job each at a time; a context manager that stops them all at exit."""

    @property
    def capacity(self) -> int:
        """The number of jobs it can run at once; it may change while jobs run."""
        ...

    def submit(self, job: Job) -> None:
        """Gives a job to a free worker.

        Raises:
            RuntimeError: as many jobs run as there is capacity for.
        """
        ...

    def events(self, timeout: float) -> Sequence[Event]:
        """New events since the last call; waits at most ``timeout`` seconds for one."""
        ...

    def close(self) -> None:
        """Stops all workers, even busy ones."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...
