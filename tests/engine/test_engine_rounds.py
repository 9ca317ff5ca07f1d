"""Offline methods in rounds, from the command line to the record."""

import pytest
from run_cli import invoke, stored
from tiny_task import tiny_task

FEW = (
    "--steps", "4", "--batch-size", "16", "--probe-every", "0", "--n-samples", "1", "--toxicity", "none",
    "--seeds", "0", "--workers", "1", "--judge", "none",
)  # fmt: skip


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    return tiny_task(tmp_path_factory.mktemp("tasks") / "tiny")


@pytest.fixture(scope="module")
def records(task, tmp_path_factory):
    out = tmp_path_factory.mktemp("rounds") / "out"
    found = invoke(
        "train-and-eval", "--task", task, *FEW, "--output-path", out,
        "--methods", "dpo(rounds=2),kto(rounds=4),dro(rounds=2,fresh=0.5),rpo(rounds=4,reference=previous)",
        "--strengths", "dpo=0.1;kto=0.1;dro=0.5;rpo=0.5",
    )  # fmt: skip
    assert found.exit_code == 0, found.output
    trained = [one.record for one in stored(out) if one.record.spec.strength is not None]
    return {record.spec.method.name: record for record in trained}


def test_rollouts_are_counted_as_an_online_methods(records):
    sampled = {name: record.cost.rollouts for name, record in records.items()}
    assert sampled == {"dpo": 64, "kto": 64, "dro": 32, "rpo": 64}


def test_the_responses_of_all_rounds_are_the_data(records):
    assert records["kto"].seen.rows == records["kto"].seen.rows_used == 64
    mixture = records["dro"].seen
    assert mixture.rows >= 64, "half of them are logged"
    assert 32 < mixture.rows_used <= mixture.rows


def test_the_cell_knows_the_reward_that_it_learnt_under(records):
    assert all(record.spec.world_hash for record in records.values())
    assert records["dpo"].spec.method.label == "dpo(rounds=2)"
    assert "dpo(rounds=2)" in records["dpo"].command


def test_methods_shows_the_axes_as_chosen():
    found = invoke("methods", "show", "dpo(rounds=4,prompts=curriculum)").stdout
    assert "prompts, easy ones first" in found
    assert "samples of the policy, 4 rounds: better and worse response" in found


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("dpo(rounds=5)", "dpo: rounds is from 0 to the number of steps, 4, not 5."),
        ("dpo(rounds=2,samples=1)", "samples is at least 2, not 1."),
        ("kto(rounds=2,reference=previous)", "regresses on rewards with a τ and sums log-probs: omit it."),
        ("sft(rounds=2,fresh=2)", "fresh is above 0 and at most 1, not 2."),
        ("sft(samples=4)", "sft: samples has an effect in rounds alone: give rounds=N too."),
    ],
)
def test_what_makes_no_sense_is_one_sentence_when_planning(task, method, message, tmp_path):
    found = invoke("train-and-eval", "--task", task, *FEW, "--methods", method, "--output-path", tmp_path)
    assert found.exit_code == 2
    assert message in found.stderr.replace("\n", " ")


def test_data_and_samples_must_be_measured_alike(task, tmp_path):
    """A reward of one's own for the samples, the data's for the logged half."""
    reward = tmp_path / "reward.py"
    reward.write_text("def one(prompts, responses):\n    return [len(text) / 9 for text in responses]\n")
    found = invoke(
        "train-and-eval", "--task", task, *FEW, "--methods", "dro(rounds=2,fresh=0.5)",
        "--train-reward", f"python:{reward}:one", "--output-path", tmp_path / "out",
    )  # fmt: skip
    assert found.exit_code == 2
    assert "learns from rewards in the data beside those of its samples" in found.stderr.replace("\n", " ")


def test_best_of_k_of_a_round_has_no_more_than_its_samples(task, tmp_path):
    found = invoke(
        "train-and-eval", "--task", task, *FEW, "--methods", "sft(rounds=2,samples=4)", "--strengths",
        "sft=2,4,8", "--output-path", tmp_path, "--dry-run",
    )  # fmt: skip
    assert found.exit_code == 0, found.output
    assert "k = 8 is left out" in (found.stdout + found.stderr).replace("\n", " ")


def test_rounds_need_a_reward(tmp_path):
    task = tiny_task(tmp_path / "tiny")
    file = task / "task.yaml"
    kept = [line for line in file.read_text().splitlines() if not line.startswith("reward:")]
    file.write_text("\n".join(kept) + "\n")
    found = invoke(
        "train-and-eval",
        "--task",
        task,
        *FEW,
        "--methods",
        "dpo(rounds=2)",
        "--output-path",
        tmp_path / "out",
    )
    assert found.exit_code == 2
    assert "samples its own responses and needs a reward" in found.stderr.replace("\n", " ")
