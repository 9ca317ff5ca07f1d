"""What is seen of a run while it goes on."""

import io
import time
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress as Progress_

from rpo_bench.cli.making import advance
from rpo_bench.engine.pool.jobs import Job, Outcome
from rpo_bench.engine.pool.progress import Lines, Tally, clock, headline, render, watching
from rpo_bench.engine.pool.worker import Progress


def job(cell, phase, seconds=1.0, kind="open"):
    return Job(key=f"{cell}:{phase}", cell=cell, phase=phase, log=Path("x.log"), kind=kind, seconds=seconds)


JOBS = [
    job("all", "reference", kind="shared"), job("a", "train", 8.0), job("a", "score", 2.0, "close"),
    job("b", "train", 8.0), job("b", "score", 2.0, "close"),
]  # fmt: skip


def ended(job, status="done", busy=None):
    return Outcome(job, status, None if status == "done" else "It broke.", busy or job.seconds)


def test_a_cell_is_done_when_its_last_stage_is():
    tally = Tally(JOBS, workers=1, already=3)
    assert (tally.done, tally.total) == (3, 5)
    tally.ended(ended(JOBS[1]))
    assert tally.done == 3
    tally.ended(ended(JOBS[2]))
    assert tally.done == 4
    tally.ended(ended(JOBS[3], "failed"))
    tally.ended(ended(JOBS[4], "dropped"))
    assert (tally.done, tally.failed) == (4, 1)


def test_time_left_follows_the_pace_so_far():
    """Expected 1 + 8 s took 2 + 16 s, twice as long; 12 s expected are left: 24 s, on two workers 12 s."""
    tally = Tally(JOBS, workers=2)
    assert tally.seconds_left is None
    tally.ended(ended(JOBS[0], busy=2.0))
    tally.ended(ended(JOBS[1], busy=16.0))
    assert tally.seconds_left == pytest.approx(12.0)


def test_each_phase_has_its_own_pace():
    """A pass took 60 s for an expected second, as it read a large model; training goes as expected."""
    jobs = [job("m", "reference", 1.0, "shared"), job("a", "train", 100.0), job("b", "train", 100.0)]
    tally = Tally(jobs, workers=1)
    tally.started(jobs[0])
    tally.ended(ended(jobs[0], busy=60.0))
    tally.started(jobs[1])
    first, _, since = tally.running[jobs[1].key]
    tally.progress(jobs[1], Progress("train", 1, 100))
    tally.running[jobs[1].key] = (first, Progress("train", 50, 100), since - 50.0)
    assert tally.seconds_left == pytest.approx(150.0, rel=0.05)


@pytest.mark.parametrize("steps", [Progress("train", 0, 100), Progress("train", 75, 100)])
def test_time_left_counts_no_step_that_an_earlier_run_made(steps):
    """Two training jobs of 8 s: one went on at step 75 and took 4 s, so that a whole one takes 16."""
    jobs = [job("a", "train", 8.0), job("b", "train", 8.0)]
    tally = Tally(jobs, workers=1)
    tally.started(jobs[0])
    tally.progress(jobs[0], Progress("train", 0, 100))
    tally.progress(jobs[0], Progress("train", 76, 100))
    tally.ended(ended(jobs[0], busy=4.0))
    assert tally.seconds_left == pytest.approx(16.0)
    tally.started(jobs[1])
    tally.progress(jobs[1], steps)
    assert tally.seconds_left == pytest.approx(16.0 * (1 - steps.step / 100))


def test_the_bar_of_one_command_goes_on_at_its_own_pace():
    now = iter(range(1000))
    bar = Progress_(console=Console(file=io.StringIO()), get_time=lambda: float(next(now)))
    task = bar.add_task("training", total=1000)
    for step in range(901, 911):  # an earlier run made 900 of the steps
        advance(bar, task, step)
    seconds_for_a_step = bar.tasks[0].time_remaining / (1000 - 910)
    assert 0.5 < seconds_for_a_step < 20


@pytest.mark.parametrize("kind", ["judge", "lm-eval"])
def test_jobs_without_a_cell_are_counted_too(kind):
    """A judge's one job, or lm-eval's on base models: the bar isn't full from the start."""
    alone = [job(kind, kind, kind="shared")]
    tally = Tally(alone, workers=1)
    assert headline(tally).startswith("0/1 jobs done")
    tally.started(alone[0])
    tally.progress(alone[0], Progress(kind, 30, 120))
    assert tally.share == 0.25
    tally.ended(ended(alone[0]))
    assert headline(tally).startswith("1/1 jobs done")
    assert tally.share == 1.0


def test_the_screen_shows_step_and_loss_of_what_runs():
    tally = Tally(JOBS, workers=1)
    tally.started(JOBS[1])
    tally.progress(JOBS[1], Progress("train", 120, 300, 0.41234))
    console = Console(file=io.StringIO(), width=100)
    console.print(render(tally))
    shown = console.file.getvalue()
    assert "0/2 cells done" in shown
    assert "120/300" in shown
    assert "loss 0.4123" in shown


def test_without_a_terminal_there_is_a_line_now_and_then_and_one_per_failure():
    console = Console(file=io.StringIO(), width=200)
    with watching(JOBS, 1, 0, console, quiet=False) as lines:
        assert isinstance(lines, Lines)
        lines.started(JOBS[1])
        lines.tick()
        assert console.file.getvalue() == ""
        lines._last = time.monotonic() - 60
        lines.tick()
        lines.ended(ended(JOBS[1], "failed"))
    first, second = console.file.getvalue().splitlines()
    assert first.startswith("0/2 cells done")
    assert second == "a: train failed: It broke. Log: x.log"


def test_quiet_says_nothing():
    console = Console(file=io.StringIO(), force_terminal=True)
    with watching(JOBS, 1, 0, console, quiet=True) as tally:
        tally.started(JOBS[1])
        tally.ended(ended(JOBS[1], "failed"))
        tally.tick()
    assert console.file.getvalue() == ""


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (3725, "1 h 02 min")]
)
def test_durations_as_people_say_them(seconds, text):
    assert clock(seconds) == text


def test_the_headline_counts_failures():
    tally = Tally(JOBS, workers=1)
    tally.ended(ended(JOBS[1], "failed"))
    assert "1 failed" in headline(tally)
