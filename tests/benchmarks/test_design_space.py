"""benchmarks/design_space.py: its table by hand, and which methods it still trains."""

import argparse
import math
import sys
from pathlib import Path

import pytest

from rpo_bench.spec.parsing import parse_methods

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import design_space
from design_space import GROUPS, Made, differences, table, train_missing, tuned_rates
from points import add_lines, read_lines

RATES = dict.fromkeys(("dpo", "kto", "dro", "rpo", "grpo", "ppo"), 2e-4)


def point(method: str, strength: float, kl: float, gain: float, seed: int = 0, held_back=math.nan) -> Made:
    return Made(method, 2e-4, strength, seed, kl, gain, 7680, 10.0 + seed, held_back, "abc")


def test_a_line_says_what_a_method_gains_and_costs():
    """KL 0.2 → 0.2 and 0.42 → 0.42 in both seeds: 0.3 at 0.3 nats, and 0.5 isn't reached."""
    found = [point("grpo", s, kl, kl, seed) for s, kl in ((1.0, 0.2), (0.1, 0.42)) for seed in (0, 1)]
    heads, _, line = table(found, RATES)
    assert heads.count("|") == line.count("|")
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[:2] == ["grpo", "0.0002"]
    assert [cell.partition(" ±")[0] for cell in cells[2:4]] == ["0.300", "not reached"]
    assert cells[4:] == ["7,680", "10", "–"]


def test_a_gain_between_far_strengths_is_marked():
    """0.28 and 0.32 are close to 0.3; 0.32 and 3.0 aren't to 0.5, and a line between them says too little."""
    found = [point("grpo", s, kl, kl) for s, kl in ((1.0, 0.28), (0.5, 0.32), (0.1, 3.0))]
    cells = [cell.strip() for cell in list(table(found, RATES))[2].strip("|").split("|")]
    assert cells[2:4] == ["0.300", "0.500 (far)"]


def test_differences_are_taken_seed_by_seed():
    """RLOO is 0.1 above GRPO in one seed and 0.3 in the other; pairs without points have no line."""
    above = {0: 0.1, 1: 0.3}
    found = [
        point(method, s, kl, kl + (above[seed] if method == "rloo" else 0.0), seed)
        for method in ("grpo", "rloo")
        for s, kl in ((1.0, 0.2), (0.1, 0.42))
        for seed in above
    ]
    (line,) = list(differences(found, RATES))[2:]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[:2] == ["rloo", "grpo"]
    assert [cell.partition(" ±")[0] for cell in cells[2:]] == ["0.200", "not reached"]


def test_shares_are_those_of_all_strengths_and_seeds():
    found = [point("rloo", 1.0, 0.2, 0.2, held_back=share) for share in (0.0, 0.125)]
    assert next(line for line in table(found, RATES) if "rloo" in line).endswith("| 0.0 to 12.5 % |")


def test_methods_come_in_the_tables_order_by_their_names_in_results():
    labels = [parse_methods(one)[0].label for _, methods in GROUPS for one in methods]
    found = [point(label, 1.0, 0.2, 0.2) for label in sorted(labels)]
    shown = [line.split("|")[1].strip() for line in list(table(found, RATES))[2:]]
    assert shown == [one for _, methods in GROUPS for one in methods]


def test_only_methods_without_lines_of_all_seeds_are_trained(tmp_path, monkeypatch):
    trained = []
    monkeypatch.setattr(design_space, "train", lambda methods, rate, options: trained.append(methods))
    file = tmp_path / "points.csv"
    lines = [point("dpo", 1.0, 0.2, 0.2, seed) for seed in (0, 1)] + [point("dpo(rounds=4)", 1.0, 0.2, 0.2)]
    add_lines(file, Made, lines, lambda line: line.key)
    train_missing(argparse.Namespace(points=file, seeds=[0, 1]), RATES)
    assert trained[0] == ["dpo(rounds=4)", "dpo(rounds=120)"]
    assert [tuple(methods) for methods in trained[1:]] == [methods for _, methods in GROUPS[1:]]


def test_lines_of_another_learning_rate_do_not_count(tmp_path, monkeypatch):
    """After a new tuning a method is trained anew, and its earlier lines aren't in the table."""
    trained = []
    monkeypatch.setattr(design_space, "train", lambda methods, rate, options: trained.append(methods))
    file = tmp_path / "points.csv"
    add_lines(file, Made, [point("dpo", 1.0, 0.2, 0.2)], lambda line: line.key)
    train_missing(argparse.Namespace(points=file, seeds=[0]), {**RATES, "dpo": 6e-4})
    assert trained[0][0] == "dpo"
    assert len(list(table(read_lines(file, Made), {**RATES, "dpo": 6e-4}))) == 2


def test_the_file_keeps_a_checkpoint_that_diverged(tmp_path):
    file = tmp_path / "points.csv"
    add_lines(file, Made, [point("dpo", 1.0, math.nan, math.nan)], lambda line: line.key)
    assert math.isnan(read_lines(file, Made)[0].kl)


def test_rates_are_those_that_were_tuned(tmp_path):
    """Of a method that was tuned with options, by its name alone."""
    from rpo_bench.tuning.schema import Arm, Choice, Configuration, Tuned, write_tuned

    def choice(method: str, rate: float) -> Choice:
        tried = Configuration(
            method=method, learning_rate=rate, strength=1.0, seed=0, kl=0.2, reward=0.3, cell="x"
        )
        return Choice(
            model="decoder", method=method, strength_name="beta", learning_rate=rate, area=0.5,
            arms=(Arm(method=method, learning_rate=rate, area=0.5),), best_of=(0.5,), on_edge=False,
            not_bracketed=(), configurations=(tried,),
        )  # fmt: skip

    tuned = Tuned(
        task="civil_qa", task_hash="x", steps=120, budgets=(0.3,), rates=4, strengths=6,
        choices=(choice("dpo", 2e-4), choice("ppo(inner_epochs=4)", 6e-4)),
    )  # fmt: skip
    write_tuned(tmp_path / "tuned.json", tuned)
    assert tuned_rates(tmp_path / "tuned.json") == {"dpo": pytest.approx(2e-4), "ppo": pytest.approx(6e-4)}
