"""What the benchmarks against other trainers share: turns, medians, and a child that fails."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from measuring import child_process, in_turns, summary


def test_sides_alternate_and_the_median_counts():
    """a: 1, 5, 3 → 3; b: 2, 4, 6 → 4."""
    asked, values = [], iter([1, 2, 5, 4, 3, 6])

    def run(side):
        asked.append(side)
        return {"x": float(next(values))}

    assert in_turns(["a", "b"], 3, run) == {"a": {"x": 3.0}, "b": {"x": 4.0}}
    assert asked == ["a", "b"] * 3


def test_the_rate_is_that_of_the_steps_after_the_warm_up():
    """Ends of steps at 1 … 6 s: after the fourth, two steps in two seconds."""
    assert summary([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 7.0, 0.0)["steps_per_s"] == 1.0


def test_a_child_gives_its_last_line(tmp_path):
    script = tmp_path / "s.py"
    script.write_text('print("noise")\nprint(\'{"x": 2.5}\')\n')
    assert child_process(str(script), ["ours"]) == {"x": 2.5}


def test_a_child_that_fails_is_told_with_its_words(tmp_path):
    script = tmp_path / "s.py"
    script.write_text('raise ValueError("no such size")\n')
    with pytest.raises(SystemExit, match=r"ours failed:[\s\S]*no such size"):
        child_process(str(script), ["ours"])
