"""benchmarks/fairness.py: its tables by hand, its file of checkpoints, and when a line may be a copy."""

import argparse
import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_models import tiny_decoder
from tiny_training import examples, load, weights

from trainers import DRO, RPO, TrainingSettings, fit

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import fairness_runs
from fairness import changes_table, coarse, gains_by_seed, gains_of, gains_table, interval
from fairness_runs import (
    BUDGETS,
    PLACED,
    Point,
    add_points,
    own_ladder,
    placed,
    read_points,
    train_protocol,
    unclipped,
)


def point(
    strength: float, kl: float, gain: float, seed: int = 0, way=("uniform", "relative"), method="rpo"
) -> Point:
    return Point("decoder", *way, method, strength, seed, kl, gain, 12.5, 0.0, "abc")


class TestTheFile:
    def test_keeps_what_is_there_and_replaces_what_is_made_anew(self, tmp_path):
        file = tmp_path / "points.csv"
        assert read_points(file) == []
        add_points(file, [point(1.0, 0.2, 0.3), point(2.0, 0.1, 0.2, seed=1)])
        add_points(file, [point(1.0, 0.25, 0.35)])
        assert read_points(file) == [point(1.0, 0.25, 0.35), point(2.0, 0.1, 0.2, seed=1)]

    def test_keeps_a_checkpoint_that_diverged(self, tmp_path):
        add_points(tmp_path / "p.csv", [point(1.0, math.nan, math.nan)])
        assert math.isnan(read_points(tmp_path / "p.csv")[0].kl)

    def test_is_the_same_in_any_order(self, tmp_path):
        found = [point(s, 0.2, 0.3, seed) for s in (0.5, 1.0) for seed in (0, 1)]
        for name, order in (("a", found), ("b", found[::-1])):
            add_points(tmp_path / name, order)
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


class TestGains:
    def test_are_read_from_straight_lines_through_the_strengths_of_each_seed(self):
        found = [point(2.0, 0.2, 0.2), point(0.5, 0.6, 0.6), point(2.0, 0.1, 0.3, seed=1)]
        gains = gains_by_seed(found, None, 0.4)
        assert gains[0] == pytest.approx(0.4)
        assert math.isnan(gains[1]), "its frontier ends before"

    def test_of_fewer_strengths_are_those_of_a_longer_line(self):
        """A concave frontier: the chord from the start to the far strength lies below the near one."""
        found = [point(1.0, 0.3, 0.5), point(0.125, 0.9, 0.8), point(2.0, 0.1, 0.2)]
        assert gains_by_seed(found, [0.125], 0.3)[0] == pytest.approx(0.8 / 3)
        assert gains_by_seed(found, [1.0, 0.125], 0.3)[0] == pytest.approx(0.5)

    def test_leave_out_what_diverged(self):
        found = [point(1.0, 0.4, 0.4), point(0.5, math.nan, math.nan)]
        assert gains_by_seed(found, None, 0.2)[0] == pytest.approx(0.2)

    def test_coarse_strengths_are_the_ends_and_the_middle(self):
        assert coarse("rpo") == (2.0, 0.5, 0.125)
        assert coarse("sft") == (1, 4, 8)


class TestTables:
    def found(self) -> list[Point]:
        """By length, absolute: 0.5 per nat; uniform: 0.1 more for each seed but the last, 0.2 for that."""
        old, new = ("by_length", "absolute"), ("uniform", "absolute")
        ladder = own_ladder("rpo")
        kls = [0.1, 0.25, 0.4, 0.6, 0.8]
        points = [point(s, kl, 0.5 * kl, i, old) for s, kl in zip(ladder, kls, strict=True) for i in range(3)]
        more = [0.1, 0.1, 0.2]
        return points + [
            point(s, kl, (0.5 + more[i]) * kl, i, new)
            for s, kl in zip(ladder, kls, strict=True)
            for i in range(3)
        ]

    def test_differences_are_paired_by_seed(self):
        lines = list(changes_table(gains_of(self.found())))
        assert [line.split(" | ")[0] for line in lines[2:]] == [
            "| dense for coarse strengths",
            "| uniform batches",
        ]
        cells = lines[3].strip("| ").split(" | ")
        assert cells[1] == "rpo"
        # 0.03, 0.03, 0.06 at 0.3 nats: mean 0.04, s = 0.017, t = 4.303 · s/√3.
        assert cells[2] == "0.040 ± 0.043"

    def test_a_budget_beyond_a_seed_s_frontier_is_not_reached(self):
        found = [replace(p, kl=math.nan) if p.seed == 1 and p.kl > 0.5 else p for p in self.found()]
        rows = [line for line in gains_table(gains_of(found), found) if line.startswith("| rpo")]
        assert all(row.strip("| ").split(" | ")[-1] == "not reached" for row in rows)
        assert not any("not reached" in row.split(" | ")[5] for row in rows)

    def test_a_ladder_that_is_not_trained_to_the_end_is_left_out(self):
        """Of the uniform batches one seed lacks a strength that is on the dense ladder alone."""
        found = [
            p for p in self.found() if not (p.batches == "uniform" and p.strength == 1.0 and p.seed == 2)
        ]
        ways = {gain.way for gain in gains_of(found)}
        assert ("uniform", "absolute", "coarse") in ways
        assert ("uniform", "absolute", "dense") not in ways
        assert ("by_length", "absolute", "dense") in ways

    def test_one_seed_has_no_interval(self):
        assert interval([0.25]) == "0.250"
        assert interval([0.25, math.nan]) == "not reached"


class TestPlacing:
    def test_goes_on_until_budgets_are_bracketed_and_no_further_than_its_limit(self):
        """KL = 0.3 / τ: known at the ladder's strengths, asked for in between."""
        points = [point(s, 0.3 / s, 0.1) for s in own_ladder("rpo")]
        for _ in range(10):
            more = placed("rpo", points)
            points += [point(s, 0.3 / s, 0.1) for s in more]
        assert not more
        assert len(points) <= len(own_ladder("rpo")) + PLACED
        assert any(BUDGETS[0] / 1.15 <= p.kl <= BUDGETS[0] for p in points)

    def test_a_method_that_diverged_everywhere_is_left(self):
        assert isinstance(placed("rpo", [point(s, math.nan, math.nan) for s in own_ladder("rpo")]), list)


class TestCopies:
    @pytest.mark.parametrize(("multiple", "same"), [(1e6, True), (0.1, False)])
    def test_relative_clipping_changes_no_bit_where_it_clips_nothing(
        self, multiple, same, tmp_path, monkeypatch
    ):
        """Beyond a million medians lies no gradient, beyond a tenth of one nearly all."""
        monkeypatch.setattr("trainers.gradients.MULTIPLE", multiple)
        folder = tiny_decoder(tmp_path / "decoder", scale=2.0)
        found = {}
        for clipping in ("relative", "none"):
            settings = TrainingSettings(
                steps=30, batch_size=8, learning_rate=1e-3, warmup_steps=2, clipping=clipping
            )
            model = load(folder)
            fit(RPO(), model, examples(), settings, tmp_path / clipping)
            found[clipping] = weights(model)
        assert torch.equal(found["relative"], found["none"]) == same

    def test_lines_are_copied_only_then(self):
        clipped = Point("decoder", "uniform", "relative", "rpo", 1.0, 0, 0.3, 0.4, 12.0, 0.01, "abc")
        whole = point(0.5, 0.4, 0.5)
        assert unclipped([clipped, whole, point(1.0, 0.2, 0.2, method="dro")]) == [
            point(0.5, 0.4, 0.5, way=("uniform", "none"))
        ]
        assert DRO().needs, "it has a value network, whose clipping the log doesn't tell"


def test_only_what_is_missing_is_trained(tmp_path, monkeypatch):
    """Two seeds have all but one strength, the third nothing; then placing asks for more."""
    trained: list[tuple[dict[str, tuple[float, ...]], list[int]]] = []

    def pretended(options, model, batches, clipping, strengths, seeds):
        trained.append((strengths, seeds))
        assert not any(seen == (strengths, seeds) for seen in trained[:-1]), "the same work twice"
        made = [point(s, 0.3 / s, 0.1, seed) for own in strengths.values() for s in own for seed in seeds]
        add_points(options.points, made)

    monkeypatch.setattr(fairness_runs, "train", pretended)
    options = argparse.Namespace(points=tmp_path / "p.csv", methods="rpo", seeds="0,1,2", placed=True)
    ladder = own_ladder("rpo")
    add_points(options.points, [point(s, 0.3 / s, 0.1, seed) for s in ladder[1:] for seed in (0, 1)])
    train_protocol(options, "decoder", "uniform", "relative")
    assert trained[0] == ({"rpo": (2.0,)}, [0, 1])
    assert trained[1] == ({"rpo": tuple(sorted(ladder))}, [2])
    assert all(seeds == [0, 1, 2] for _, seeds in trained[2:])
    assert 1 <= sum(len(s["rpo"]) for s, _ in trained[2:]) <= PLACED
    before = len(trained)
    train_protocol(options, "decoder", "uniform", "relative")
    assert len(trained) == before, "run again, nothing is left to do"
