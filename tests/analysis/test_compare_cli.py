"""``rpo-bench compare`` from the command line: what it prints, when it refuses, and its exit codes."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from planted import Method, write_planted
from results_factory import cell_spec, metric, write_cell
from run_cli import invoke
from worlds import write_points, write_scored

from rpo_bench.spec.sections import Decoding, EvaluationSpec
from rpo_bench.stats.oracle import estimate_oracle

CHEAP = ("--resamples", "200")


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    methods = {"sft": Method((0.2, 0.4)), "rpo": Method((0.4, 0.9))}
    return write_planted(tmp_path_factory.mktemp("world") / "results", methods, world=3)


def report(*arguments: object) -> dict:
    ended = invoke("compare", *arguments, *CHEAP, "--format", "json")
    assert ended.exit_code == 0, ended.output
    return json.loads(ended.stdout)


def comparison(found: dict, **wanted: object) -> dict:
    (one,) = [
        c
        for c in found["sections"][0]["comparisons"]
        if all(c[key] == value for key, value in wanted.items())
    ]
    return one


def test_the_table_names_standings_differences_and_the_detectable_effect(world: Path):
    ended = invoke("compare", world, *CHEAP)
    assert ended.exit_code == 0, ended.output
    assert "Reward within 1.4 nats of KL" in ended.stdout or "Reward within 1.5 nats of KL" in ended.stdout
    assert "rpo − sft" in ended.stdout
    assert "4 (preliminary)" in ended.stdout
    assert "better" in ended.stdout
    assert "Minimum detectable effect (power 80 %)" in ended.stdout
    assert "Largest differences in reward: rpo vs sft" in ended.stdout


def test_json_has_both_matchings_with_intervals_and_adjusted_p(world: Path):
    found = report("rpo", "sft", "--results", world, "--kl", "1")
    at_kl = comparison(found, metric="reward", matched="kl")
    assert at_kl["at"] == 1.0
    assert at_kl["primary"]
    assert at_kl["adjusted_p"] >= at_kl["p"]
    assert at_kl["difference"]["low"] < at_kl["difference"]["point"] < at_kl["difference"]["high"]
    assert at_kl["difference"]["levels"] == ["training seeds", "prompts", "generation"]
    strengths = {c["at"] for c in found["sections"][0]["comparisons"] if c["matched"] == "strength"}
    assert strengths == {0.1, 1.0}
    assert at_kl["wins"] + at_kl["ties"] + at_kl["losses"] == 30


def test_wins_ties_and_losses_and_the_prompts_that_differ_most_by_hand(tmp_path: Path):
    """Rewards (1, 2, 3, 0) against (0, 2, 1, 1): two wins, a tie, a loss; p2 differs most, by 2."""
    write_scored(tmp_path, cell_spec("reference", None), {"kl": [0.0] * 4, "reward": [0.0] * 4})
    for name, rewards in (("a", [1.0, 2.0, 3.0, 0.0]), ("b", [0.0, 2.0, 1.0, 1.0])):
        write_scored(tmp_path, cell_spec(name, 1.0), {"kl": [1.0] * 4, "reward": rewards})
    found = report("a", "b", "--results", tmp_path, "--at", "strength", "--prompts", "2")
    one = comparison(found, metric="reward")
    assert (one["wins"], one["ties"], one["losses"]) == (2, 1, 1)
    assert one["difference"]["point"] == 0.5
    gaps = found["sections"][0]["most_different"]["a vs b"]
    assert [(gap["prompt_id"], gap["difference"]) for gap in gaps] == [("p2", 2.0), ("p0", 1.0)]


def test_the_reward_at_a_kl_is_interpolated_by_hand(tmp_path: Path):
    """a passes (0, 0), (1, 1), (3, 2): 1.5 at 2 nats; b ends at (1, 0.4) and is held there."""
    points = {"a": {1.0: [(1, 1.0)] * 2, 0.1: [(3, 2.0)] * 2}, "b": {1.0: [(1, 0.4)] * 2}}
    write_points(tmp_path, points)
    one = comparison(report("a", "b", "--results", tmp_path, "--kl", "2"), metric="reward", matched="kl")
    assert one["first_value"]["point"] == pytest.approx(1.5)
    assert one["second_value"]["point"] == pytest.approx(0.4)
    assert any("b ends before this KL" in note for note in one["notes"])


@pytest.mark.parametrize("form", ["csv", "md", "latex"])
def test_other_formats_hold_the_same_comparisons(world: Path, form: str):
    ended = invoke("compare", "rpo", "sft", "--results", world, *CHEAP, "--at", "kl", "--format", form)
    assert ended.exit_code == 0, ended.output
    if form == "csv":
        rows = list(csv.DictReader(io.StringIO(ended.stdout)))
        assert {(row["first"], row["second"], row["metric"]) for row in rows} == {("rpo", "sft", "reward")}
        assert float(rows[0]["low"]) < float(rows[0]["difference"])
    else:
        assert "rpo" in ended.stdout
        assert ("|---|" if form == "md" else r"\begin{tabular}") in ended.stdout
        assert form != "latex" or "−" not in ended.stdout


def test_the_gate_fails_on_a_worse_reward_and_passes_on_a_better_one(world: Path):
    worse = invoke("compare", "sft", "rpo", "--results", world, *CHEAP, "--fail-if-worse", "reward")
    assert worse.exit_code == 1
    assert "Worse: reward, sft than rpo." in worse.stderr
    better = invoke("compare", "rpo", "sft", "--results", world, *CHEAP, "--fail-if-worse", "reward")
    assert better.exit_code == 0
    neither = invoke("compare", "rpo", "sft", "--results", world, *CHEAP, "--fail-if-worse", "kl")
    assert neither.exit_code == 2
    assert "this metric has no better direction" in neither.stderr


def test_a_checkpoint_alone_is_compared_with_the_stored_baselines(world: Path, tmp_path: Path):
    mine = write_scored(
        tmp_path / "mine",
        cell_spec("mine", 0.0),
        {"kl": [1.0] * 30, "reward": np.random.default_rng(0).normal(size=30).tolist()},
        {"reward": metric([0.0, 0.1], better=True)},
    )
    found = report(mine, "--results", world)
    pairs = {(c["first"], c["second"]) for c in found["sections"][0]["comparisons"]}
    assert pairs == {("mine", "sft"), ("mine", "rpo")}
    assert found["sections"][0]["family"] == "mine against each other"
    one = comparison(found, second="rpo", metric="reward", matched="kl")
    assert one["difference"]["levels"][0] == "training seeds where there are several"


def test_without_baselines_it_says_what_to_do(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("rpo_bench.results.baselines.stored_baselines", lambda: None)
    folder = write_cell(tmp_path, cell_spec())
    ended = invoke("compare", folder)
    assert ended.exit_code == 2
    assert "there are no stored baselines here" in ended.stderr
    assert "--results" in ended.stderr


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"task_hash": "f" * 64}, "different versions of the task 'civil_qa'"),
        ({"task": "other"}, "different tasks ('civil_qa' and 'other')"),
        ({"model_hash": "f" * 64}, "different reference policies (two models called 'decoder')"),
        (
            {"evaluation": EvaluationSpec(n_samples=2, decoding=Decoding(temperature=0.7))},
            "temperature differs",
        ),
        ({"evaluation": EvaluationSpec(n_samples=2, limit=8)}, "number of prompts (--limit) differs"),
        ({"evaluation": EvaluationSpec(n_samples=2, seed=1)}, "generation seed differs (0 and 1)"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_the_difference(tmp_path: Path, changes, said):
    first = write_cell(tmp_path / "a", cell_spec())
    second = write_cell(tmp_path / "b", cell_spec("kto", **changes))
    ended = invoke("compare", first, second)
    assert ended.exit_code == 2
    assert "can't be compared" in ended.stderr
    assert said in ended.stderr


def test_other_prompts_are_refused_by_their_hash(tmp_path: Path):
    first = write_cell(tmp_path / "a", cell_spec(), hashes={"prompts": "1" * 64})
    second = write_cell(tmp_path / "b", cell_spec("kto"), hashes={"prompts": "2" * 64})
    ended = invoke("compare", first, second)
    assert ended.exit_code == 2
    assert "measured on other prompts (hashes 11111111 and 22222222)" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rpoo", "sft"], "Did you mean"),
        (["rpo@7", "sft"], "'rpo' wasn't run at strength 7; there are 0.1, 1"),
        (["rpo", "sft", "--metrics", "rewrad"], "The metric 'rewrad' wasn't measured"),
        (["rpo", "sft", "--kl", "-1"], "--kl: '-1' is not a positive number of nats"),
        (["rpo", "sft", "--level", "95"], "--level 95"),
        (["rpo", "sft", "--model", "encoder"], "There are no results with --model encoder"),
    ],
)
def test_what_is_not_there_is_named(world: Path, arguments, said):
    ended = invoke("compare", *arguments, "--results", world)
    assert ended.exit_code == 2
    assert said in ended.stderr


def test_a_checkpoint_that_was_not_measured_is_told_how(tmp_path: Path):
    (tmp_path / "config.json").write_text("{}")
    ended = invoke("compare", tmp_path, "rpo")
    assert ended.exit_code == 2
    assert "is a checkpoint without results: measure it with `rpo-bench eval" in ended.stderr


def given(root: Path, first: list, second: list, seeds: int = 1) -> dict:
    write_scored(root, cell_spec("reference", None), {"kl": [0.0] * len(first), "reward": [0.0] * len(first)})
    for name, rewards in (("a", first), ("b", second)):
        for seed in range(seeds):
            scores = {"kl": [1.0] * len(rewards), "reward": rewards}
            write_scored(root, cell_spec(name, 1.0, seed), scores)
    return comparison(report("a", "b", "--results", root, "--at", "strength"), metric="reward")


def test_one_seed_has_an_interval_over_prompts_and_says_so(tmp_path: Path):
    one = given(tmp_path, [1.0, 2.0, 4.0, 3.0], [0.0, 1.5, 1.0, 2.0])
    assert one["difference"]["levels"] == ["prompts", "generation"]
    assert "one training seed: the interval covers only prompts" in one["notes"]


def test_a_single_seed_beside_several_is_told_as_that_and_the_reference_has_none_to_tell(tmp_path: Path):
    given(tmp_path, [1.0, 2.0, 4.0, 3.0], [0.0, 1.5, 1.0, 2.0], seeds=3)
    for cell in [*tmp_path.glob("**/a-1-1-*"), *tmp_path.glob("**/a-1-2-*")]:
        (cell / "result.json").unlink()
    one = comparison(report("a", "b", "--results", tmp_path, "--at", "strength"), metric="reward")
    assert one["notes"] == ["a has one training seed: the interval doesn't cover its variation"]
    base = comparison(report("b", "reference", "--results", tmp_path), metric="reward")
    assert base["difference"]["levels"][0] == "training seeds where there are several"
    assert base["notes"] == []


def test_one_prompt_has_no_interval(tmp_path: Path):
    one = given(tmp_path, [1.0], [0.5], seeds=3)
    assert (one["difference"]["point"], one["difference"]["low"], one["p"]) == (0.5, None, None)
    assert one["verdict"] == "undetermined"
    assert "one prompt: there is no interval" in one["notes"]


def test_a_seed_whose_scores_cannot_be_read_stands_behind_nothing(tmp_path: Path):
    """Two seeds of each are stored; of a's, one can be read, of c's none."""
    methods = {name: Method((0.2, 0.4)) for name in ("sft", "rpo", "kto")}
    write_planted(tmp_path, methods, world=3, seeds=2)
    for file in [*tmp_path.glob("**/rpo-*-1-*/scores.jsonl.gz"), *tmp_path.glob("**/kto-*/scores.jsonl.gz")]:
        file.write_bytes(b"nothing")
    found = report("sft", "rpo", "--results", tmp_path, "--kl", "1")["sections"][0]
    assert {one["label"]: (one["seeds"], one["badge"]) for one in found["standings"]} == {
        "sft": (2, "preliminary"),
        "rpo": (1, "one seed"),
    }
    (gap,) = [one for one in found["comparisons"] if one["primary"]]
    assert "rpo has one training seed: the interval doesn't cover its variation" in gap["notes"]
    alone = report("sft", "kto", "--results", tmp_path)["sections"][0]
    assert "Nothing at equal KL: fewer than two methods have scores of their KL." in alone["notes"]


def test_identical_scores_are_identical_and_a_constant_shift_cannot_be_told(tmp_path: Path):
    same = given(tmp_path / "same", [1.0, 2.0, 3.0], [1.0, 2.0, 3.0], seeds=2)
    assert (same["verdict"], same["p"], same["ties"]) == ("identical", 1.0, 3)
    shifted = given(tmp_path / "shifted", [2.0, 3.0, 4.0], [1.0, 2.0, 3.0], seeds=2)
    assert (shifted["verdict"], shifted["difference"]["point"]) == ("undetermined", 1.0)
    assert shifted["difference"]["low"] is None


def test_a_prompt_that_one_of_them_has_no_score_for_counts_for_neither(tmp_path: Path):
    """b lacks p3, on which a is at 100: over p0 to p2 it is (1 + 2 + 3)/3 − (0 + 2 + 1)/3 = 1."""
    one = given(tmp_path, [1.0, 2.0, 3.0, 100.0], [0.0, 2.0, 1.0, None], seeds=2)
    assert one["difference"]["point"] == pytest.approx(1.0)
    assert one["first_value"]["point"] == pytest.approx(2.0)
    assert one["wins"] + one["ties"] + one["losses"] == 3


def test_without_any_shared_score_nothing_is_made_up(tmp_path: Path):
    one = given(tmp_path, [1.0, 2.0, None, None], [None, None, 1.0, 2.0], seeds=2)
    assert (one["difference"]["point"], one["verdict"]) == (None, "undetermined")
    assert "no prompt has a score of both" in one["notes"]


def test_diverged_and_unreadable_cells_are_named(tmp_path: Path):
    root = write_points(tmp_path, {"a": {0.1: [(1.0, 1.0)] * 3}, "b": {0.1: [(1.0, 0.5)] * 3}})
    write_cell(root, cell_spec("a", 0.1, 3), status="diverged")
    broken = next(root.rglob("b-0.1-2-*")) / "scores.jsonl.gz"
    broken.unlink()
    notes = report("a", "b", "--results", root)["sections"][0]["notes"]
    assert "a: 1 checkpoints diverged and have no measurement." in notes
    assert any("scores.jsonl.gz is missing; it is left out" in note for note in notes)


def test_without_the_reference_policy_there_is_nothing_at_equal_kl(tmp_path: Path):
    for name in ("a", "b"):
        write_cell(tmp_path, cell_spec(name))
    found = report("a", "b", "--results", tmp_path)["sections"][0]
    assert {c["matched"] for c in found["comparisons"]} == {"strength"}
    assert any("reference policy isn't among the results" in note for note in found["notes"])
    assert comparison({"sections": [found]}, metric="reward")["primary"]


def test_the_budget_does_not_pass_the_end_of_the_oracle(tmp_path: Path, monkeypatch):
    """Both reach 9 nats; an oracle of 64 samples of normal rewards ends below 3, and tells a regret there."""
    points = {name: {1.0: [(1, 0.5)] * 2, 0.1: [(9, -1.0), (9, -0.9)]} for name in ("a", "b")}
    write_points(tmp_path, points)
    oracle = estimate_oracle(np.random.default_rng(0).normal(size=(4, 64)), ("p0", "p1", "p2", "p3"))
    assert report("a", "b", "--results", tmp_path)["sections"][0]["budgets"] == [9.0]
    monkeypatch.setattr("rpo_bench.analysis.build.find_oracle", lambda spec, roots: oracle)
    found = report("a", "b", "--results", tmp_path)["sections"][0]
    assert 1 < found["budgets"][0] <= oracle.end < 3
    assert found["standings"][0]["regret"]["point"] > 0
