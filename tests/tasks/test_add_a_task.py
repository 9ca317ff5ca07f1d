"""The example of docs/add-a-task.md, as it stands there."""

import re
from pathlib import Path

import pytest
from tiny_models import tiny_decoder

from rpo_bench.engine.plan.plan import PlanContext, plan_run
from rpo_bench.spec.schema import RunSpec
from rpo_bench.spec.sections import MethodSpec, TrainingSpec
from rpo_bench.spec.trust import Trust
from rpo_bench.tasks.source import FILES_VARIABLE, VARIABLE
from rpo_bench.tasks.task import load_task

PAGE = Path(__file__).parents[2] / "docs" / "add-a-task.md"


@pytest.fixture
def jokes(tmp_path, monkeypatch):
    """The folder that the page describes."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.delenv(FILES_VARIABLE, raising=False)
    text = PAGE.read_text(encoding="utf-8")
    folder = tmp_path / "my_tasks" / "jokes"
    folder.mkdir(parents=True)
    for language, file in (("json", "jokes.jsonl"), ("yaml", "task.yaml")):
        block = re.search(rf"```{language}\n(.*?)```", text, re.S)
        assert block is not None
        (folder / file).write_text(block[1], encoding="utf-8")
    return folder


def test_it_loads_and_divides(jokes):
    task = load_task("jokes", jokes.parent)
    rows = task.train_rows("on_policy")
    assert [len(task.heldout), len(task.probe), len(rows)] == [1, 1, 4]
    assert rows[0].prompt.startswith("Joke: ")
    assert rows[0].prompt.endswith("\nAnswer:")
    assert rows[0].reward > rows[1].reward
    assert rows[0].response.startswith(" ")
    assert set(task.heldout[0].metadata) == {"id"}


def test_a_run_on_it_can_be_planned(jokes, tmp_path):
    spec = RunSpec(
        task=str(jokes),
        models=(str(tiny_decoder(tmp_path / "model")),),
        methods=(MethodSpec(name="sft"), MethodSpec(name="rpo")),
        n_strengths=1,
        seeds=(0,),
        training=TrainingSpec(steps=2, batch_size=2),
        evaluation={"toxicity": "none"},
    )
    assert len(plan_run(spec, PlanContext(tmp_path / "work", None, Trust())).cells) == 3
