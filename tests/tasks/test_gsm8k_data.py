"""GSM8K as a task, on a few problems of our own in the real files' format."""

import json

import datasets
import pytest
from tiny_models import tiny_decoder
from typer.testing import CliRunner

from rpo_bench.cli.main import app
from rpo_bench.engine.plan.plan import PlanContext, plan_run
from rpo_bench.engine.stages.rollouts import make_world
from rpo_bench.errors import UserError
from rpo_bench.models.hf import HFModel
from rpo_bench.spec.schema import RunSpec
from rpo_bench.spec.sections import MethodSpec, TrainingSpec
from rpo_bench.spec.trust import Trust
from rpo_bench.tasks.source import VARIABLE
from rpo_bench.tasks.task import load_task
from rpo_bench.verifier import Verifier


def record(name, apples, pears):
    """A problem as train.jsonl has it: {"question", "answer"}, calculator notes and "####" included."""
    total = apples + pears
    return {
        "question": f"{name} has {apples} apples and {pears} pears. How much fruit does {name} have?",
        "answer": f"{name} has {apples}+{pears}=<<{apples}+{pears}={total}>>{total} pieces.\n#### {total:,}",
    }


TRAIN = [record(name, 10 * i, 700 + i) for i, name in enumerate(("Ann", "Bob", "Cem", "Dea", "Eva", "Fay"))]
TEST = [record("Zoe", 999, 1), record("Yan", 20, 22)]


@pytest.fixture
def downloaded(tmp_path, monkeypatch):
    folder = tmp_path / "datasets" / "gsm8k"
    folder.mkdir(parents=True)
    for split, part in (("train", TRAIN), ("test", TEST)):
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in part))
    monkeypatch.setenv(VARIABLE, str(folder.parent))
    return folder


def test_problems_become_prompts_and_worked_solutions_rows(downloaded):
    task = load_task("gsm8k")
    assert task.heldout[0].text == (
        "Question: Zoe has 999 apples and 1 pears. How much fruit does Zoe have?\nAnswer:"
    )
    row = task.train_rows("on_policy")[0]
    assert row.response == " Ann has 0+700=<<0+700=700>>700 pieces.\n#### 700"
    assert row.reward == 1.0
    assert len(task.probe) == 3  # of six at most half


def test_every_worked_solution_is_right_about_its_problem(downloaded):
    task = load_task("gsm8k")
    assert isinstance(task.reward, Verifier)
    assert task.reward(task.heldout, [one["answer"] for one in TEST]) == [1.0, 1.0]
    assert task.reward(task.heldout, [one["answer"] for one in TEST[::-1]]) == [0.0, 0.0]
    assert task.reward(task.heldout, ["#### $1000.", "About 42"]) == [1.0, 1.0]


def test_the_hubs_parquet_files_do_as_well(downloaded):
    for split, part in (("train", TRAIN), ("test", TEST)):
        (downloaded / f"{split}.jsonl").unlink()
        datasets.Dataset.from_list(part).to_parquet(downloaded / f"{split}.parquet")
    assert len(load_task("gsm8k").heldout) == 2


def test_a_worked_solution_without_its_number_is_named(downloaded):
    lines = (downloaded / "test.jsonl").read_text().replace("#### 42", "So, 42.")
    (downloaded / "test.jsonl").write_text(lines)
    with pytest.raises(UserError) as raised:
        _ = load_task("gsm8k").heldout
    assert str(raised.value) == (
        f"{downloaded / 'test.jsonl'} line 2: reward.py:right_number can't read its answer."
    )


def test_without_data_or_hub_the_sentence_says_what_to_do(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=f"set {VARIABLE} to a folder with the dataset as gsm8k/train.jsonl"):
        _ = load_task("gsm8k").heldout


def test_a_run_is_planned_offline_and_online(downloaded, tmp_path):
    model = tiny_decoder(tmp_path / "model")
    spec = RunSpec(
        task="gsm8k",
        models=(str(model),),
        methods=(MethodSpec(name="grpo"), MethodSpec(name="sft")),
        strengths={"sft": (1,), "grpo": (0.1,)},
        seeds=(0,),
        training=TrainingSpec(steps=2, batch_size=8),
        evaluation={"decoding": {"max_new_tokens": 4}},
    )
    plan = plan_run(spec, PlanContext(tmp_path / "work", None, Trust()))
    assert {cell.spec.method.name for cell in plan.cells} == {"reference", "grpo", "sft"}
    (data,) = plan.data.values()
    assert len(data.rows) == 3


def test_the_policys_tokens_are_judged(downloaded, tmp_path):
    model = tiny_decoder(tmp_path / "model")
    task = load_task("gsm8k")
    base = HFModel.load(model, device="cpu")
    world = make_world(base, [*task.heldout], task.reward, 4)
    assert world.reward([0, 1], [[3, 4], [5]]) == [0.0, 0.0]


def test_the_list_of_tasks_fetches_nothing(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(datasets, "load_dataset", lambda *args, **kwargs: pytest.fail("fetched"))
    listed = CliRunner().invoke(app, ["tasks"], prog_name="rpo-bench")
    assert listed.exit_code == 0
    assert "openai/gsm8k" in listed.stdout
    shown = CliRunner().invoke(app, ["tasks", "show", "gsm8k"], prog_name="rpo-bench")
    assert shown.exit_code == 0
    assert VARIABLE in shown.stdout
