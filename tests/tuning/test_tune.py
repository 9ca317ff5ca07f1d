"""``rpo-bench tune`` on a tiny task: as many configurations for each method, resumable, and its file used."""

import json
import re
import shutil

import pytest
from run_cli import invoke, stored
from tiny_task import TOPICS, tiny_task, write_rows

import rpo_bench as rb
from rpo_bench.engine.inputs.tuning_prompts import is_aside
from rpo_bench.errors import UserError
from rpo_bench.tuning.schema import read_tuned

FEW = (
    "--rates", "2", "--strengths-per-rate", "3", "--kl-budgets", "0.5,2", "--steps", "3", "--batch-size", "8",
    "--n-samples", "2", "--workers", "1",
)  # fmt: skip


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    return tiny_task(tmp_path_factory.mktemp("tasks") / "tiny")


@pytest.fixture(scope="module")
def done(task, tmp_path_factory):
    """KTO and RPO tuned with two learning rates of three strengths each."""
    out = tmp_path_factory.mktemp("tuned") / "out"
    found = invoke("tune", "--task", task, "--methods", "kto,rpo", *FEW, "--output-path", out)
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


def test_only_reward_and_kl_cost_time_unless_more_is_asked_for(done, task, tmp_path):
    out, _ = done
    records = [one.record for one in stored(out)]
    assert {r.spec.training.probe_every for r in records if r.spec.strength is not None} == {0}
    assert all({"reward", "kl"} <= record.metrics.keys() for record in records)
    assert all(record.point("toxicity") is None for record in records)
    more = {
        "training": {"steps": 1, "batch_size": 4, "probe_every": 1},
        "evaluation": {"toxicity": "profanity"},
    }
    given = {"rates": 2, "strengths_per_rate": 2, "kl_budgets": [0.5], "output_path": tmp_path, "workers": 1}
    rb.tune(task=str(task), methods="sft", **more, **given)
    records = [one.record for one in stored(tmp_path)]
    assert {r.spec.training.probe_every for r in records if r.spec.strength is not None} == {1}
    assert all(record.point("toxicity") is not None for record in records)


def test_every_method_has_the_same_grid_and_all_that_was_tried_is_in_the_file(done):
    out, found = done
    assert "up to 12 checkpoints of 3 steps" in found.stderr.replace("\n", " ")
    cells = {one.record.cell: one.record for one in stored(out)}
    for choice in choices(out).values():
        rates = {arm["learning_rate"] for arm in choice["arms"]}
        assert len(rates) >= 2
        for rate in rates:
            tried = [c for c in choice["configurations"] if c["learning_rate"] == rate]
            assert len(tried) == 3  # no budget is bracketed in three steps
        for one in choice["configurations"]:
            record = cells[one["cell"]]
            assert record.spec.training.learning_rate == one["learning_rate"]
            assert record.metrics["reward"].interval.point == one["reward"]
        best = max(choice["arms"], key=lambda arm: arm["area"])
        assert choice["learning_rate"] == best["learning_rate"]
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
    went_on = invoke("tune", "--task", task, "--methods", "kto,rpo", *FEW, "--output-path", again)
    assert went_on.exit_code == 0, went_on.output
    assert (again / "tuned.json").read_bytes() == before


def test_options_to_choose_among_are_configurations_of_one_method(task, tmp_path):
    """Two values of one option share the learning rates; the choice says which, and the file names it so."""
    found = invoke(
        "tune", "--task", task, "--methods", "kto(weight_d=1|2),rpo", *FEW, "--output-path", tmp_path / "out"
    )
    assert found.exit_code == 0, found.output
    assert "2 searches" in found.stderr.replace("\n", " ")
    kto, rpo = json.loads((tmp_path / "out" / "tuned.json").read_text())["choices"]
    assert {arm["method"] for arm in kto["arms"]} == {"kto", "kto(weight_d=2.0)"}
    assert {arm["method"] for arm in rpo["arms"]} == {"rpo"}
    assert len(kto["arms"]) == 2  # one learning rate has no edges to grow beyond
    best = max(kto["arms"], key=lambda arm: arm["area"])
    assert (kto["method"], kto["learning_rate"]) == (best["method"], best["learning_rate"])
    assert (
        f"{kto['method']}@decoder" in read_tuned(tmp_path / "out" / "tuned.json")[0].rates_by_key("x").rates
    )


def test_more_variants_than_learning_rates_are_refused(task, tmp_path):
    found = invoke(
        "tune", "--task", task, "--methods", "kto(weight_d=1|2|3)", *FEW, "--output-path", tmp_path / "out"
    )
    assert found.exit_code == 2
    assert "kto has 3 variants, which share its 2 learning rates" in found.stderr.replace("\n", " ")
    assert not (tmp_path / "out").exists()


def test_python_tunes_as_the_command_line_does_and_takes_the_file(task, tmp_path):
    """Around a given learning rate; a second call computes nothing more."""
    settings = {
        "task": str(task),
        "methods": "kto",
        "training": {"steps": 2, "batch_size": 8, "learning_rate": 1e-3},
        "evaluation": {"n_samples": 1},
        "workers": 1,
    }
    given = {"rates": 2, "strengths_per_rate": 2, "kl_budgets": [0.5], "output_path": tmp_path / "tuned"}
    done = rb.tune(**settings, **given)
    (choice,) = done.tuned.choices
    assert {0.001, 0.003} <= {arm.learning_rate for arm in choice.arms}
    assert rb.tune(**settings, **given).report.outcomes == ()
    del settings["training"]["learning_rate"]
    run = rb.train_and_eval(
        **settings, tuned=done.file, strengths={"*": [1]}, seeds=0, output_path=tmp_path / "run"
    )
    rates = set(run.results()["learning_rate"].dropna())
    assert choice.learning_rate in rates


@pytest.mark.parametrize(
    "given",
    [{"rates": 1}, {"strengths_per_rate": 0}, {"kl_budgets": []}, {"kl_budgets": [0]}, {"kl_budgets": [1e9]}],
)
def test_python_refuses_what_makes_no_sense(task, given, tmp_path):
    with pytest.raises(UserError, match=r"two or more of each|numbers above 0, in nats"):
        rb.tune(task=str(task), methods="kto", output_path=tmp_path / "out", **given)
    assert not (tmp_path / "out").exists()


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
        "train-and-eval", "--task", task, "--methods", "kto,rpo,dro", "--strengths", "1", *settings,
        "--tuned", out / "tuned.json", "--workers", "1", "--output-path", tmp_path / "run",
    )  # fmt: skip
    assert found.exit_code == 0, found.output
    assert "has no entry for dro@decoder" in found.stderr.replace("\n", " ")
    chosen = choices(out)
    for record in (one.record for one in stored(tmp_path / "run")):
        name = record.spec.method.name
        if name in chosen:
            assert record.spec.training.learning_rate == chosen[name]["learning_rate"]
            assert record.extra["tuned"]["configurations"] == len(chosen[name]["configurations"])
        else:
            assert "tuned" not in record.extra
    page = (tmp_path / "run" / "leaderboard" / "index.html").read_text()
    assert "Not tuned: dro." in page


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--kl-budgets", "a"), "--kl-budgets: 'a' is not a number"),
        (("--kl-budgets", "0,1"), "give numbers above 0"),
        (("--eval-prompts", "test"), "tune always measures on tuning prompts"),
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
    with pytest.raises(UserError, match="isn't a file of rpo-bench tune"):
        read_tuned(file)


def test_a_file_that_is_none_is_named(task, tmp_path):
    (tmp_path / "tuned.json").write_text('{"task": 1}')
    found = invoke("train-and-eval", "--task", task, "--tuned", tmp_path / "tuned.json", "--dry-run")
    assert found.exit_code == 2
    assert "isn't a file of rpo-bench tune" in found.stderr.replace("\n", " ")


@pytest.mark.parametrize("flags", [("--lr", "1e-3"), ("--sweep", "lr=1e-3,1e-2")])
def test_two_ways_to_say_a_learning_rate_are_refused(done, task, flags):
    out, _ = done
    found = invoke("train-and-eval", "--task", task, "--tuned", out / "tuned.json", *flags, "--dry-run")
    assert found.exit_code == 2
    assert "--tuned sets the learning rates" in found.stderr.replace("\n", " ")


def test_a_file_of_another_task_is_refused(done, task, tmp_path):
    out, _ = done
    text = (out / "tuned.json").read_text()
    other = tmp_path / "other.json"
    other.write_text(
        text.replace('"task":"tiny"', '"task":"huge"').replace('"task": "tiny"', '"task": "huge"')
    )
    refused = invoke("train-and-eval", "--task", task, "--methods", "sft", "--tuned", other, "--dry-run")
    assert refused.exit_code == 2
    assert "The tuned file is for the task 'huge', not 'tiny'." in refused.stderr.replace("\n", " ")


def test_a_file_with_a_method_twice_or_a_rate_that_was_not_tried_is_refused(done, tmp_path):
    out, _ = done
    content = json.loads((out / "tuned.json").read_text())
    file = tmp_path / "tuned.json"
    file.write_text(json.dumps({**content, "choices": content["choices"] * 2}))
    with pytest.raises(UserError, match="occurs twice"):
        read_tuned(file)
    file.write_text(json.dumps({**content, "choices": [{**content["choices"][0], "configurations": []}]}))
    with pytest.raises(UserError, match="wasn't tried"):
        read_tuned(file)


def test_nothing_is_begun_without_a_reward(tmp_path):
    """The folder then takes the same command with one."""
    base = tiny_task(tmp_path / "tasks" / "tiny") / "models" / "decoder"
    rows = write_rows(tmp_path / "mine.jsonl")
    given = ("tune", "--data", rows, "--models", base, "--methods", "sft", *FEW, "--output-path")
    found = invoke(*given, tmp_path / "out")
    assert found.exit_code == 2
    assert "Tuning needs a reward" in found.stderr.replace("\n", " ")
    assert not (tmp_path / "out").exists()


def test_finished_checkpoints_are_not_measured_on_tuning_prompts(task, tmp_path):
    given = ("eval", task / "models/decoder", "--task", task, "--output-path", tmp_path / "out")
    found = invoke(*given, "--eval-prompts", "tuning")
    assert found.exit_code == 2
    assert "leave out --eval-prompts" in found.stderr.replace("\n", " ")
