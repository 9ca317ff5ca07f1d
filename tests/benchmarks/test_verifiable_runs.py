"""The tables of benchmarks/verifiable.py, by hand, and runs that are kept and read again."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from verifiable_runs import Point, Run, Setup, arrival, load, points, save, table

SETUP = Setup(iterations=20, every=10)


def run(seed, *accuracies, method="grpo"):
    """A run with 100 rollouts and 2 seconds between points, its groups flat in a tenth more each time."""
    curve = tuple(Point(10 * i, 100 * i, 2.0 * i, a, i / 10, i / 10, 0.25) for i, a in enumerate(accuracies))
    return Run("sums", method, seed, SETUP, "completed", curve, accuracies[-1], 0.9, 0.5)


def test_the_curve_of_a_log():
    """Two iterations between points: shares are their means, the rest is the point's own."""
    log = [
        {"step": 0, "rollouts": 0, "probe_reward": 0.25, "cpu_seconds": 0.0},
        {"step": 1, "rollouts": 8, "zero_variance": 0.5, "without_gradient": 0.0, "replayed": 0.5},
        {"step": 2, "rollouts": 16, "zero_variance": 1.0, "without_gradient": 0.5, "replayed": None,
         "probe_reward": 0.75, "cpu_seconds": 3.5},
    ]  # fmt: skip
    first, second = points(log)
    assert (first.iteration, first.rollouts, first.accuracy) == (0, 0, 0.25)
    assert second == Point(2, 16, 3.5, 0.75, 0.75, 0.25, 0.5)


def test_what_it_took_to_arrive():
    climbing = run(0, 0.5, 0.7, 0.9)
    assert arrival(climbing, 0.7, lambda p: p.rollouts) == 100
    assert arrival(climbing, 0.8, lambda p: p.seconds) == 4.0
    assert arrival(climbing, 0.95, lambda p: p.rollouts) is None


def test_a_table_by_hand():
    """Two seeds end at 0.9 and 0.8, one of them reaches 0.85, after 200 rollouts and 4 seconds."""
    head, rule, line = table("sums", [run(0, 0.5, 0.7, 0.9), run(1, 0.5, 0.6, 0.8)], [0.85])
    cells = dict(zip([c.strip() for c in head.split("|")], [c.strip() for c in line.split("|")], strict=True))
    assert rule.count("|") == head.count("|")
    assert cells["sums"] == "grpo"
    assert cells["seeds"] == "2"
    assert cells["accuracy"] == "0.850 [0.800, 0.900]"
    assert cells["rollouts"] == "200 [200, 200]"
    assert cells["at 100"] == "0.650 [0.600, 0.700]"
    assert cells["at 50"] == "0.575 [0.550, 0.600]"
    assert cells["rollouts to 0.85"] == "200 (1 of 2)"
    assert cells["CPU s to 0.85"] == "4 (1 of 2)"
    assert cells["groups without variance: first tenth"] == "0.10"
    assert cells["last tenth"] == "0.20"
    assert cells["replayed"] == "0.25"


def test_one_seed_has_no_range_and_never_is_never():
    line = table("sums", [run(0, 0.5, 0.7, 0.8)], [0.95])[-1]
    assert "| 0.800 |" in line
    assert "never | never" in line


def test_runs_that_are_kept_are_the_same_runs(tmp_path):
    runs = [run(0, 0.5, 0.7), run(1, 0.5, 0.6, method="popo")]
    save(tmp_path / "runs.json", runs)
    assert load(tmp_path / "runs.json") == runs
    assert load(tmp_path / "none.json") == load(None) == []
    assert runs[0].key != runs[1].key


@pytest.mark.parametrize("change", [{"iterations": 30}, {"kl_coef": 0.1}, {"model": "encoder-decoder"}])
def test_another_setup_is_another_run(change):
    from dataclasses import replace

    one = run(0, 0.5)
    assert replace(one, setup=replace(SETUP, **change)).key != one.key
