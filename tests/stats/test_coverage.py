"""A fast form of benchmarks/coverage.py: every kind of interval holds the truth about as often as it says."""

import importlib.util
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def simulation():
    file = Path(__file__).parents[2] / "benchmarks" / "coverage.py"
    spec = importlib.util.spec_from_file_location("coverage_simulation", file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("kind", "seeds"),
    [
        ("paired difference of two checkpoints", 1),
        ("difference, seeds dominate", 3),
        ("difference, prompts dominate", 5),
        ("difference at equal KL", 3),
        ("difference of areas under the frontier", 3),
        ("corpus metric, Welch", 3),
        ("interquartile mean over 3 tasks", 5),
        ("probability of improvement at equal KL", 5),
        ("Bradley–Terry rating (100 questions)", 1),
        ("corpus metric of a checkpoint, jackknife", 1),
        ("KL at which gold peaks", 3),
    ],
)
def test_a_95_percent_interval_holds_the_truth(simulation, kind, seeds):
    """150 worlds: at a true coverage of 95 %, fewer than 133 have a probability of 0.06 %."""
    found = simulation.coverage(simulation.KINDS[kind][0], seeds, worlds=150, resamples=150)
    assert found >= 0.885


def test_equal_methods_are_rarely_told_apart(simulation):
    """60 worlds of four equal methods: at a family-wise error of 5 %, 9 or more have 0.5 %."""
    assert simulation.false_claims(3, 4, worlds=60, resamples=150) <= 8 / 60
