"""Progress of a run: a live table on a terminal, otherwise a line every 30 seconds."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from rpo_bench.engine.pool.jobs import Job, Outcome
from rpo_bench.engine.pool.work_left import Running, share_of, work_left
from rpo_bench.engine.pool.worker import Progress
from rpo_bench.errors import bounded
from rpo_bench.terminal.screen import SafeConsole
from rpo_bench.terminal.visible import visible

_LINE_EVERY = 30.0  # seconds between lines without a terminal


@dataclass
class Tally:
    """The state of a run, updated by the pool: an Observer that shows nothing.

    Attributes:
        jobs: all jobs.
        workers: number of workers.
        already: number of cells that were finished before.
        skipped: job → the share already done by an earlier run, for a resumed job.
    """

    jobs: Sequence[Job]
    workers: int
    already: int = 0
    running: dict[str, Running] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    started_at: float = field(default_factory=time.monotonic)
    skipped: dict[str, float] = field(default_factory=dict)

    def started(self, job: Job) -> None:
        """Marks a job as running."""
        self.running[job.key] = (job, None, time.monotonic())

    def progress(self, job: Job, progress: Progress) -> None:
        """Stores its progress and, at its first step, where it resumed."""
        if progress.step and progress.steps:
            self.skipped.setdefault(job.key, (progress.step - 1) / progress.steps)
        self.running[job.key] = (job, progress, self.running[job.key][2])

    def ended(self, outcome: Outcome) -> None:
        """Stores its outcome."""
        self.running.pop(outcome.job.key, None)
        self.outcomes.append(outcome)

    def added(self, jobs: Sequence[Job]) -> None:
        """Counts further jobs."""
        self.jobs = [*self.jobs, *jobs]

    def tick(self) -> None:
        """Shows nothing."""

    @property
    def total(self) -> int:
        """Number of cells of the run, including those finished before."""
        return len({job.cell for job in self._counted}) + self.already

    @property
    def done(self) -> int:
        """Number of cells with a result."""
        counted = {job.key for job in self._counted}
        left = Counter(job.cell for job in self._counted)
        left.subtract(o.job.cell for o in self.outcomes if o.status == "done" and o.job.key in counted)
        return sum(count == 0 for count in left.values()) + self.already

    @property
    def failed(self) -> int:
        """Number of cells that won't get a result."""
        counted = {job.key for job in self._counted}
        return len({o.job.cell for o in self.outcomes if o.status != "done" and o.job.key in counted})

    @property
    def unit(self) -> str:
        """The unit of progress: cells, or jobs if no cell is computed (a judge, lm-eval on base models)."""
        return "cells" if self.already or any(job.kind != "shared" for job in self.jobs) else "jobs"

    @property
    def share(self) -> float:
        """The finished share of the units; jobs without a cell count by their steps."""
        running = 0.0
        if self.unit == "jobs":
            running = sum(share_of(progress) for _, progress, _ in self.running.values())
        return (self.done + running) / max(1, self.total)

    @property
    def _counted(self) -> list[Job]:
        """The jobs that belong to a single cell, or all jobs if none does."""
        return [job for job in self.jobs if job.kind != "shared" or self.unit == "jobs"]

    @property
    def elapsed(self) -> float:
        """Seconds since the run started."""
        return time.monotonic() - self.started_at

    @property
    def seconds_left(self) -> float | None:
        """Estimated from the pace of each phase so far; None while nothing is known."""
        left = work_left(self.jobs, self.outcomes, self.running, self.skipped)
        return None if left is None else left / self.workers


@dataclass
class Lines(Tally):
    """Prints a plain line when a cell fails, and one every 30 seconds."""

    console: Console = field(default_factory=lambda: SafeConsole(stderr=True))
    _last: float = field(default_factory=time.monotonic)

    def ended(self, outcome: Outcome) -> None:
        """Prints failures immediately."""
        super().ended(outcome)
        if outcome.status == "failed":
            say_failure(self.console, outcome)

    def tick(self) -> None:
        """Prints a line if the last one is old enough."""
        if time.monotonic() - self._last < _LINE_EVERY:
            return
        self._last = time.monotonic()
        running = "; ".join(_short(job, progress) for job, progress, _ in self.running.values())
        self.console.print(f"{headline(self)}; running: {running}", soft_wrap=True)


@dataclass
class Screen(Tally):
    """A live table on a terminal."""

    console: Console = field(default_factory=lambda: SafeConsole(stderr=True))
    live: Live | None = None

    def ended(self, outcome: Outcome) -> None:
        """Prints failures above the table."""
        super().ended(outcome)
        if outcome.status == "failed":
            say_failure(self.console, outcome)

    def tick(self) -> None:
        """Redraws the table."""
        if self.live is not None:
            self.live.update(render(self), refresh=True)


@contextmanager
def watching(
    jobs: Sequence[Job], workers: int, already: int, console: Console, quiet: bool
) -> Iterator[Tally]:
    """An observer suited to the console, shown while the block runs."""
    if quiet:
        yield Tally(jobs, workers, already)
    elif not console.is_terminal:
        yield Lines(jobs, workers, already, console=console)
    else:
        screen = Screen(jobs, workers, already, console=console)
        with Live(render(screen), console=console, auto_refresh=False, transient=True) as screen.live:
            yield screen


def say_failure(console: Console, outcome: Outcome) -> None:
    """Prints which cell failed, in which phase, why, and its log file."""
    job = outcome.job
    console.print(
        f"{job.cell}: {job.phase} failed: {bounded(outcome.reason or '')} Log: {job.log}", soft_wrap=True
    )


def headline(tally: Tally) -> str:
    """The progress of the run in one line."""
    left = tally.seconds_left
    parts = [
        f"{tally.done}/{tally.total} {tally.unit} done",
        *([f"{tally.failed} failed"] if tally.failed else []),
        f"{clock(tally.elapsed)} so far",
        f"about {clock(left)} left" if left is not None else "time left unknown",
    ]
    return ", ".join(parts)


def render(tally: Tally) -> RenderableType:
    """The live table: a bar, a headline, and one row per running job."""
    rows = Table.grid(padding=(0, 2))
    for job, progress, _ in tally.running.values():
        rows.add_row(
            Text(visible(job.cell), style="bold"),
            Text(progress.phase if progress else job.phase),
            Text(_steps(progress), justify="right"),
            Text(_loss(progress)),
        )
    if not tally.running and not tally.outcomes:
        rows.add_row(Text("starting the workers …", style="dim"))
    head = Table.grid(padding=(0, 2))
    bar = ProgressBar(total=1.0, completed=tally.share, width=30)
    head.add_row(bar, Text(headline(tally)))
    return Group(head, rows)


def clock(seconds: float) -> str:
    """A readable duration: 42 s, 3 min 05 s, 2 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _short(job: Job, progress: Progress | None) -> str:
    inside = " ".join(part for part in (job.phase, _steps(progress), _loss(progress)) if part)
    return f"{job.cell} ({inside})"


def _steps(progress: Progress | None) -> str:
    if progress is None or progress.step is None:
        return ""
    return f"{progress.step}/{progress.steps}" if progress.steps else str(progress.step)


def _loss(progress: Progress | None) -> str:
    return "" if progress is None or progress.loss is None else f"loss {progress.loss:.4g}"
