"""The order in which jobs are handed out."""

from pathlib import Path

import pytest

from rpo_bench.engine.pool.jobs import Job, Schedule, chain_seconds

LOG = Path("log")


def job(key, kind="open", needs=(), seconds=1.0):
    return Job(key=key, cell=key, phase="x", log=LOG, kind=kind, needs=frozenset(needs), seconds=seconds)


def cell(name, train, generate=1.0, needs=()):
    return [
        job(f"{name}.t", "open", needs, train),
        job(f"{name}.g", "close", [f"{name}.t"], generate),
    ]


def drain(schedule):
    order = []
    while (taken := schedule.next()) is not None:
        order.append(taken.key)
        schedule.finish(taken)
    return order


def test_chain_is_the_longest_way_to_the_end():
    """a(2) → b(3) → c(1), a → d(5): chain(a) = 2 + max(3 + 1, 5) = 7, chain(b) = 4, chain(d) = 5."""
    jobs = [
        job("a", seconds=2),
        job("b", needs="a", seconds=3),
        job("c", needs="b"),
        job("d", needs="a", seconds=5),
    ]
    assert chain_seconds(jobs) == {"a": 7, "b": 4, "c": 1, "d": 5}


def test_shared_first_then_longest_and_a_begun_cell_is_finished_first():
    jobs = [*cell("short", 1), *cell("long", 9, needs=["s"]), *cell("mid", 5), job("s", "shared")]
    jobs += cell("tiny", 0.5)
    assert drain(Schedule(jobs, workers=1)) == ["s", "long.t", "long.g", "mid.t", "short.t", "tiny.t",
                                                "short.g", "mid.g", "tiny.g"]  # fmt: skip


def test_a_failed_job_takes_out_only_what_needs_it():
    jobs = [*cell("a", 1, needs=["s"]), *cell("b", 2), job("s", "shared")]
    schedule = Schedule(jobs, workers=1)
    failed = schedule.next()
    assert failed is not None
    assert failed.key == "s"
    assert {dropped.key for dropped in schedule.fail(failed)} == {"a.t", "a.g"}
    assert drain(schedule) == ["b.t", "b.g"]


def test_a_job_that_waits_is_not_handed_out():
    schedule = Schedule([job("a"), job("b", needs="a")], workers=2)
    first = schedule.next()
    assert first is not None
    assert schedule.next() is None
    assert not schedule.empty
    schedule.finish(first)
    assert drain(schedule) == ["b"]


@pytest.mark.parametrize(
    ("jobs", "message"),
    [
        ([job("a"), job("a")], "same key"),
        ([job("a", needs="z")], "no job makes"),
        ([job("a", needs="b"), job("b", needs="a")], "circle"),
    ],
)
def test_broken_graphs_are_refused(jobs, message):
    with pytest.raises(ValueError, match=message):
        Schedule(jobs, workers=1)
