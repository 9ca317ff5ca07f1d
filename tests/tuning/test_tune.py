"""``rpo-bench tune`` on a tiny task: as many configurations for each method, resumable, and its file used."""

import json
import re
import shutil

import pytest
from run_cli import invoke, stored
from tiny_task import TOPICS, tiny_task

from rpo_bench.engine.tuning_prompts import is_aside
from rpo_bench.errors import UserError
from rpo_bench.tuning.schema import read_tuned

FEW = (
    "--rates", "2", "--strengths-per-rate", "3", "--kl-budgets", "0.5,2", "--steps", "3", "--batch-size", "8",
    "--probe-every", "0", "--n-samples", "2", "--toxicity", "none", "--workers", "1",
)  # fmt: skip


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    return tiny_task(tmp_path_factory.mktemp("tasks") / "tiny")


@pytest.fixture(scope="module")
def done(task, tmp_path_factory):
    """SFT and RPO tuned with two learning rates of three strengths each."""
    out = tmp_path_factory.mktemp("tuned") / "out"
    found = invoke("tune", "--task", task, "--methods", "sft,rpo", *FEW, "--output-path", out)
    assert found.exit_code == 0, found.output
    return out, found


def choices(out):
    return {one["method"]: one for one in json.loads((out / "tuned.json").read_text())["choices"]}


def test_tuning_prompts_are_neither_trained_nor_tested_on(done, task):
    out, _ = done
    aside = {f"what is the {topic} ?" for topic in TOPICS if is_aside(f"what is the {topic} ?")}
    assert 0 < len(aside) < len(TOPICS)
    records = [one.record for one in stored(out)]
    assert {record.spec.evaluation.prompts for record in records} == {"tuning"}
    measured = {
        json.loads(line)["text"]
        for file in (out / "work" / "tasks").rglob("heldout.jsonl")
        for line in file.read_text().splitlines()
    }
    assert measured == aside
    trained = [record for record in records if record.spec.strength is not None]
    assert {record.seen.rows for record in trained if record.seen} == {4 * (len(TOPICS) - len(aside))}


def test_every_method_has_the_same_grid_and_all_that_was_tried_is_in_the_file(done):
    out, found = done
    assert "up to 12 checkpoints of 3 steps" in found.stderr.replace("\n", " ")
    cells = {one.record.cell: one.record for one in stored(out)}
    for choice in choices(out).values():
        rates = {float(rate) for rate in choice["areas"]}
        assert len(rates) >= 2
        for rate in rates:
            tried = [c for c in choice["configurations"] if c["learning_rate"] == rate]
            assert 2 <= len(tried) <= 3
        for one in choice["configurations"]:
            record = cells[one["cell"]]
            assert record.spec.training.learning_rate == one["learning_rate"]
            assert record.metrics["reward"].interval.point == one["reward"]
        best = max(choice["areas"], key=lambda rate: choice["areas"][rate])
        assert choice["learning_rate"] == float(best)
        assert choice["best_of"][-1] == pytest.approx(choice["area"])


def test_stopped_on_the_way_it_ends_with_the_same_file(done, task, tmp_path):
    """A folder with half of the results goes on; a folder with all of them computes nothing."""
    out, _ = done
    before = (out / "tuned.json").read_bytes()
    again = tmp_path / "again"
    shutil.copytree(out, again)
    (again / "tuned.json").unlink()
    results = sorted((again / "results").rglob("result.json"))
    for file in results[::2]:
        shutil.rmtree(file.parent)
    went_on = invoke("tune", "--task", task, "--methods", "sft,rpo", *FEW, "--output-path", again)
    assert went_on.exit_code == 0, went_on.output
    assert (again / "tuned.json").read_bytes() == before


def test_train_and_eval_takes_each_methods_learning_rate_and_records_it(done, task, tmp_path):
    out, _ = done
    settings = (
        "--steps",
        "2",
        "--batch-size",
        "8",
        "--probe-every",
        "0",
        "--toxicity",
        "none",
        "--seeds",
        "0",
    )
    found = invoke(
        "train-and-eval", "--task", task, "--methods", "sft,rpo,kto", "--strengths", "1", *settings,
        "--tuned", out / "tuned.json", "--workers", "1", "--output-path", tmp_path / "run",
    )  # fmt: skip
    assert found.exit_code == 0, found.output
    assert "says nothing of kto@decoder" in found.stderr.replace("\n", " ")
    chosen = choices(out)
    for record in (one.record for one in stored(tmp_path / "run")):
        name = record.spec.method.name
        if name in chosen:
            assert record.spec.training.learning_rate == chosen[name]["learning_rate"]
            assert record.extra["tuned"]["configurations"] == len(chosen[name]["configurations"])
        else:
            assert "tuned" not in record.extra
    page = (tmp_path / "run" / "leaderboard" / "index.html").read_text()
    assert "Not tuned: kto." in page


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--kl-budgets", "a"), "write numbers of nats above 0"),
        (("--kl-budgets", "0,1"), "write numbers of nats above 0"),
        (("--learning-rate", "1e-4"), "tune searches the learning rate"),
        (("--eval-prompts", "test"), "tune measures on tuning prompts"),
    ],
)
def test_what_makes_no_sense_is_refused(task, tmp_path, flags, message):
    found = invoke("tune", "--task", task, *flags, "--output-path", tmp_path / "out")
    assert found.exit_code == 2
    assert message in found.stderr.replace("\n", " ")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("rate", ["Infinity", "NaN", "-1", "0", "1e999", '"x"', "null", "true"])
def test_a_learning_rate_that_is_none_is_refused(done, rate, tmp_path):
    out, _ = done
    file = tmp_path / "tuned.json"
    text = (out / "tuned.json").read_text()
    file.write_text(re.sub(r'"learning_rate":[^,]*', f'"learning_rate":{rate}', text))
    with pytest.raises(UserError, match="is no file of rpo-bench tune"):
        read_tuned(file)


def test_a_file_that_is_none_is_named(task, tmp_path):
    (tmp_path / "tuned.json").write_text('{"task": 1}')
    found = invoke("train-and-eval", "--task", task, "--tuned", tmp_path / "tuned.json", "--dry-run")
    assert found.exit_code == 2
    assert "is no file of rpo-bench tune" in found.stderr.replace("\n", " ")
    both = invoke("train-and-eval", "--task", task, "--tuned", tmp_path / "tuned.json", "--lr", "1e-3")
    assert "leave out --learning-rate and --sweep" in both.stderr.replace("\n", " ")
