"""rpo-bench reward-model: from rows or a task to a folder that scores, and what it refuses."""

import json

import pytest
from run_cli import invoke
from tiny_models import tiny_decoder
from tiny_task import tiny_task, write_rows

from rpo_bench.models.reward import RewardModel
from rpo_bench.models.reward_record import read_reward_record

SMALL = ["--steps", 12, "--batch-size", 4, "--learning-rate", 5e-3, "--warmup-steps", 0]


def test_a_file_of_rows_makes_a_reward_model(tmp_path):
    rows, base = write_rows(tmp_path / "rows.jsonl"), tiny_decoder(tmp_path / "base")
    done = invoke("reward-model", "--data", rows, "--model", base, "--out", tmp_path / "rm", *SMALL)
    assert done.exit_code == 0, done.stderr
    record = read_reward_record(tmp_path / "rm")
    assert f"{record.heldout.accuracy.point:.3f}" in done.stdout
    assert f"--reward hf:{tmp_path / 'rm'}" in done.stdout
    assert (record.train_prompts, record.heldout.prompts) == (7, 1)
    assert len((tmp_path / "rm/train_log.jsonl").read_text().splitlines()) == 12
    model = RewardModel.load(tmp_path / "rm")
    good, bad = model.scores(["what is the cat ?"] * 2, ["yes good thanks .", "no stupid idiot !"])
    assert good > bad


def test_preference_pairs_will_do(tmp_path):
    pairs = [
        {"prompt": f"what is the {topic} ?", "chosen": "yes good .", "rejected": "no idiot !"}
        for topic in ("cat", "dog", "house", "river")
    ]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    flags = ["--data", tmp_path / "pairs.jsonl", "--model", tiny_decoder(tmp_path / "base")]
    done = invoke("reward-model", *flags, "--out", tmp_path / "rm", *SMALL)
    assert done.exit_code == 0, done.stderr
    assert read_reward_record(tmp_path / "rm").train_pairs == 3


def test_a_task_gives_its_rows_and_models_by_name(tmp_path):
    task = tiny_task(tmp_path / "tiny")
    done = invoke("reward-model", "--task", task, "--model", "decoder", "--out", tmp_path / "rm", *SMALL)
    assert done.exit_code == 0, done.stderr
    record = read_reward_record(tmp_path / "rm")
    assert (record.base, record.data) == ("decoder", "tiny (on_policy)")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "either --data FILE or --task NAME"),
        (["--data", "rows.jsonl", "--task", "civil_qa"], "either --data FILE or --task NAME"),
        (["--data", "nowhere.jsonl"], "there is no such file"),
        (["--task", "civil_kua"], "Did you mean 'civil_qa'?"),
        (["--data", "rows.jsonl", "--test-fraction", 1], "--test-fraction 1: it must be between 0 and 1"),
        (["--data", "rows.jsonl", "--learning-rate", 0], "--learning-rate 0: it must be a positive number"),
        (["--data", "rows.jsonl", "--dtype", "float16"], "--dtype float16: choose auto, float32 or bfloat16"),
        (["--data", "rows.jsonl", "--model", "nowhere"], "--model nowhere: there is no such folder"),
        (["--data", "rows.jsonl", "--out", "base"], "--output-path base already contains a model"),
        (["--data", "rows.jsonl", "--out", "other"], "--output-path other exists and is not a model folder"),
    ],
)
def test_what_can_not_work_is_one_sentence(tmp_path, monkeypatch, flags, message):
    monkeypatch.chdir(tmp_path)
    write_rows(tmp_path / "rows.jsonl")
    tiny_decoder(tmp_path / "base")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/letter.txt").write_text("mine")
    done = invoke("reward-model", *["--model", "base", "--out", "rm", *flags])
    assert done.exit_code == 2
    assert message in " ".join(done.stderr.split())
    assert not (tmp_path / "rm").exists()
    assert (tmp_path / "other/letter.txt").exists()
