"""Jobs on a pool of any kind: here one without processes, whose workers die and come as the test says."""

from pathlib import Path

import pytest

from rpo_bench.engine.pool.jobs import Job, Outcome
from rpo_bench.engine.pool.progress import Tally
from rpo_bench.engine.pool.protocol import Event, Lost
from rpo_bench.engine.pool.run_jobs import run_jobs
from rpo_bench.engine.pool.worker import Done, Failed, Progress
from rpo_bench.errors import UserError


class ScriptedPool:
    """Ends one job at a time, by what its script says: a key's endings one after another, else Done."""

    def __init__(self, capacity: int, script: dict[str, list] | None = None, grows: int = 0) -> None:
        self.capacity = capacity
        self.script = script or {}
        self.grows = grows
        self.running: list[Job] = []
        self.submitted: list[str] = []
        self.most = 0

    def __enter__(self) -> "ScriptedPool":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(self, job: Job) -> None:
        assert len(self.running) < self.capacity
        self.running.append(job)
        self.submitted.append(job.key)
        self.most = max(self.most, len(self.running))

    def events(self, timeout: float) -> list[Event]:
        self.capacity += self.grows
        self.grows = 0
        job = self.running.pop(0)
        endings = self.script.get(job.key, [])
        return [
            Event(job, Progress("train"), 0.5),
            Event(job, endings.pop(0) if endings else Done(job.key), 1.0),
        ]

    def close(self) -> None:
        self.running.clear()


def jobs(**needs: str) -> list[Job]:
    return [Job(key, key, "x", Path("log"), needs=frozenset(of.split())) for key, of in needs.items()]


def run(pool: ScriptedPool, todo: list[Job]) -> dict[str, tuple[str, object]]:
    with pool:
        ended = run_jobs(pool, todo, Tally(todo, pool.capacity))
    assert len(ended) == len(todo)
    return {outcome.job.key: (outcome.status, outcome.value or outcome.reason) for outcome in ended}


def test_no_job_begins_before_what_it_needs_has_ended():
    pool = ScriptedPool(3)
    found = run(pool, jobs(a="", b="a", c="a b", d=""))
    assert found == {key: ("done", key) for key in "abcd"}
    assert pool.submitted.index("a") < pool.submitted.index("b") < pool.submitted.index("c")


def test_the_pool_never_gets_more_than_it_takes_and_more_when_it_grows():
    small, growing = ScriptedPool(2), ScriptedPool(2, grows=3)
    todo = jobs(**dict.fromkeys("abcdefgh", ""))
    run(small, todo)
    run(growing, todo)
    assert (small.most, growing.most) == (2, 5)


def test_a_job_whose_worker_died_is_tried_once_more():
    pool = ScriptedPool(1, {"a": [Lost("was killed by signal 9")]})
    assert run(pool, jobs(a="", b="a"))["a"] == ("done", "a")
    assert pool.submitted == ["a", "a", "b"]


def test_a_job_that_loses_two_workers_has_failed_and_drops_what_needs_it():
    pool = ScriptedPool(2, {"a": [Lost("was killed by signal 9"), Lost("exited with 1")]})
    found = run(pool, jobs(a="", b="a", c="b", d=""))
    assert found["a"] == ("failed", "Its worker process exited with 1, twice (out of memory?).")
    assert [found[key][0] for key in "bcd"] == ["dropped", "dropped", "done"]


def test_a_fatal_failure_ends_the_run_with_what_to_do():
    pool = ScriptedPool(1, {"a": [Failed("The disk is full.", fatal=True)]})
    with pytest.raises(UserError, match=r"^The disk is full\. Finished work is kept: free disk space"):
        run(pool, jobs(a="", b=""))
    assert pool.submitted == ["a"]


def growing(
    pool: ScriptedPool, todo: list[Job], asked: dict[str, list[Job]]
) -> tuple[list[tuple[str, str]], Tally]:
    """Runs jobs whose ends ask for others; returns (key, status) as they ended."""
    tally = Tally(todo, pool.capacity)

    def more(outcome: Outcome) -> list[Job]:
        return asked.get(outcome.job.key, []) if outcome.status == "done" else []

    with pool:
        ended = run_jobs(pool, todo, tally, more)
    return [(outcome.job.key, outcome.status) for outcome in ended], tally


def test_a_job_that_ends_may_ask_for_others_which_may_need_finished_ones():
    ended, tally = growing(
        ScriptedPool(1), jobs(s="", a="s"), {"a": jobs(s="", b="s", c="b"), "c": jobs(d="")}
    )
    assert ended == [(key, "done") for key in "sabcd"]
    assert (tally.done, tally.total) == (5, 5)


def test_a_failed_job_asks_for_nothing_and_another_cell_may_ask_for_it_again():
    pool = ScriptedPool(1, {"s": [Failed("broken")], "a": [Failed("broken")]})
    ended, _ = growing(pool, jobs(s="", a="s", x=""), {"x": jobs(s="", y="s"), "s": [], "a": jobs(z="")})
    assert ended == [("s", "failed"), ("a", "dropped"), ("x", "done"), ("s", "done"), ("y", "done")]


def test_in_a_schedule_that_grows_started_cells_are_finished_before_others_start():
    cells = [
        *(Job(f"{name}.t", name, "train", Path("log")) for name in "abc"),
        *(Job(f"{name}.s", name, "score", Path("log"), "close", frozenset({f"{name}.t"})) for name in "abc"),
    ]
    ended, _ = growing(ScriptedPool(1), cells, {})
    assert [key for key, _ in ended] == ["a.t", "a.s", "b.t", "b.s", "c.t", "c.s"]


def test_a_job_asked_for_again_may_lose_a_worker_as_any_other():
    lost = Lost("was killed by signal 9")
    pool = ScriptedPool(1, {"s": [lost, lost, lost]})
    shared = Job("s", "s", "reference", Path("log"), "shared")
    ended, _ = growing(pool, [shared, *jobs(x="")], {"x": [shared, *jobs(y="s")]})
    assert ended == [("s", "failed"), ("x", "done"), ("s", "done"), ("y", "done")]
    assert pool.submitted == ["s", "s", "x", "s", "s", "y"]
