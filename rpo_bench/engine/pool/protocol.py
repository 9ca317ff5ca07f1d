"""What a pool of workers is: jobs go in, events come out; where the workers are is its own affair."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from rpo_bench.engine.pool.jobs import Job
from rpo_bench.engine.pool.worker import Done, Failed, Progress


@dataclass(frozen=True)
class Lost:
    """A job's worker died.

    Attributes:
        how: "was killed by signal 9", to follow "Its worker process".
    """

    how: str


@dataclass(frozen=True)
class Event:
    """Something that happened to a job.

    Attributes:
        job: as it was submitted.
        what: that it has come a step further; all others end it.
        busy_seconds: since it was submitted.
    """

    job: Job
    what: Progress | Done | Failed | Lost
    busy_seconds: float


class Pool(Protocol):
    """Workers that do one job each at a time; a context manager that leaves none behind."""

    @property
    def capacity(self) -> int:
        """How many jobs it takes at a time; it may change while jobs run."""
        ...

    def submit(self, job: Job) -> None:
        """Gives a job to a free worker.

        Raises:
            RuntimeError: as many jobs run as there is capacity for.
        """
        ...

    def events(self, timeout: float) -> Sequence[Event]:
        """What has happened since the last call; waits for it, but no longer than ``timeout`` seconds."""
        ...

    def close(self) -> None:
        """Ends all workers, whatever they do."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...
