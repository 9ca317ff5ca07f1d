"""Which prompts settings are chosen by."""

import json

import pytest
import yaml
from tiny_task import TOPICS, tiny_task

from rpo_bench.data.readers import read_rows
from rpo_bench.engine.inputs.dataset import TrainingData
from rpo_bench.engine.inputs.tuning_prompts import for_tuning, is_aside
from rpo_bench.errors import UserError
from rpo_bench.tasks.task import load_folder

ALL = [f"what is the {topic} ?" for topic in TOPICS]


def with_tuning_prompts(folder, texts):
    """The tiny task with tuning prompts of its own."""
    tiny_task(folder)
    lines = [json.dumps({"prompt_id": f"tuning-{i}", "text": text}) for i, text in enumerate(texts)]
    (folder / "tuning.jsonl").write_text("\n".join(lines))
    settings = yaml.safe_load((folder / "task.yaml").read_text())
    (folder / "task.yaml").write_text(yaml.safe_dump({**settings, "tuning": "tuning.jsonl"}))
    return load_folder(folder)


def rows_of(task):
    return {"decoder": TrainingData.of(read_rows(task.train_file("on_policy")), "tiny")}


def prompts_in(data):
    return {row.prompt for row in data["decoder"].rows}


def test_a_task_with_tuning_prompts_is_trained_on_all_its_rows(tmp_path):
    task = with_tuning_prompts(tmp_path / "tiny", ["what is the moon ?", "what is the sun ?"])
    data = rows_of(task)
    tuned, rest = for_tuning(task, data, tmp_path / "work")
    assert [prompt.text for prompt in tuned.heldout] == ["what is the moon ?", "what is the sun ?"]
    assert rest["decoder"] is data["decoder"]
    assert tuned.hash != task.hash


def test_without_them_a_part_of_the_training_prompts_is_set_aside(tmp_path):
    tiny_task(tmp_path / "tiny")
    task = load_folder(tmp_path / "tiny")
    tuned, rest = for_tuning(task, rows_of(task), tmp_path / "work")
    aside = {text for text in ALL if is_aside(text)}
    assert {prompt.text for prompt in tuned.heldout} == aside
    assert prompts_in(rest) == set(ALL) - aside


def test_rows_of_tuning_prompts_are_left_out_however_they_are_spelled(tmp_path):
    """Data of a user's own may hold them."""
    task = with_tuning_prompts(tmp_path / "tiny", [ALL[0].replace("what is", "What  IS")])
    _, rest = for_tuning(task, rows_of(task), tmp_path / "work")
    assert prompts_in(rest) == set(ALL[1:])


def test_data_of_tuning_prompts_alone_are_refused(tmp_path):
    task = with_tuning_prompts(tmp_path / "tiny", ALL)
    with pytest.raises(UserError, match="has only tuning prompts of 'tiny'"):
        for_tuning(task, rows_of(task), tmp_path / "work")
