"""Tasks: how they are found and read, and what makes their identity."""

import json

import pytest

from rpo_bench.data.row import Row
from rpo_bench.errors import UserError
from rpo_bench.tasks.functions import load_function
from rpo_bench.tasks.task import first_responses, load_task, task_folders

YAML = """
name: riddles
version: 1
title: Riddles
description: Asks riddles.
train:
  on_policy/small: small.jsonl
  on_policy/large: large.jsonl
  off_policy: off.jsonl
heldout: heldout.jsonl
probe: probe.jsonl
reward: reward.py:gold
reward_files: [words.py]
models: {small: models/small}
max_new_tokens: 12
"""
PROMPTS = [{"prompt_id": f"r{i}", "text": f"Riddle {i}?\u2028", "metadata": {"answer": i}} for i in range(3)]


def lines(records):
    return "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "riddles"
    root.mkdir()
    (root / "task.yaml").write_text(YAML)
    (root / "heldout.jsonl").write_text(lines(PROMPTS), encoding="utf-8")
    (root / "probe.jsonl").write_text(lines([{"prompt_id": "p", "text": "Probe?"}]))
    (root / "reward.py").write_text(
        "def gold(prompts, responses):\n    return [float(len(r)) for r in responses]\n"
    )
    (root / "words.py").write_text("WORDS = 3\n")
    return root


class TestFinding:
    def test_by_name_among_those_bundled_and_those_included(self, folder):
        assert {"civil_qa", "riddles"} <= set(task_folders(folder.parent))
        assert load_task("riddles", folder.parent).folder == folder

    def test_by_folder(self, folder):
        assert load_task(str(folder)).spec.name == "riddles"

    def test_an_unknown_name_is_one_sentence(self, folder):
        with pytest.raises(UserError, match=r"^Unknown task 'ridles'\. Did you mean 'riddles'\?$"):
            load_task("ridles", folder.parent)

    @pytest.mark.parametrize(
        ("yaml", "sentence"),
        [
            (
                YAML.replace("version: 1", "version: 0"),
                "version: Input should be greater than or equal to 1.",
            ),
            (YAML.replace("heldout:", "held_out:"), "unknown field 'held_out'. Did you mean 'heldout'?"),
            (
                YAML.replace("heldout: heldout.jsonl\n", ""),
                "a task needs 'train' and 'heldout', or a 'source'.",
            ),
            (YAML + "extra: 1\n", "unknown field 'extra'. Did you mean 'train'?"),
            ("- a\n- b\n", "Input should be a valid dictionary"),
            ("a: [1, 2\n", "task.yaml line 2 is not YAML: while parsing a flow sequence."),
            (
                YAML.partition("train:")[0] + "source: {dataset: a/b, chosne: x}\nmax_new_tokens: 3\n",
                "unknown field 'source.chosne'. Did you mean 'chosen'?",
            ),
        ],
    )
    def test_a_broken_description_names_file_and_field(self, folder, yaml, sentence):
        (folder / "task.yaml").write_text(yaml)
        with pytest.raises(UserError) as raised:
            load_task(str(folder))
        assert str(raised.value).startswith(str(folder / "task.yaml"))
        assert sentence in str(raised.value)
        assert "\n" not in str(raised.value)


class TestPrompts:
    def test_are_read_with_all_their_characters(self, folder):
        """A line separator (U+2028) inside a text is no end of a line."""
        task = load_task(str(folder))
        assert [p.model_dump() for p in task.heldout] == PROMPTS
        assert [p.text for p in task.probe] == ["Probe?"]

    @pytest.mark.parametrize(
        ("line", "sentence"),
        [
            ('{"prompt_id": "x"}', "line 4: text: Field required."),
            (
                '{"prompt_id": "x", "text": ""}',
                "line 4: text: String should have at least 1 character.",
            ),
            ("{", "line 4: Invalid JSON"),
            (
                '{"prompt_id": "r1", "text": "Again?"}',
                "line 4: the prompt_id 'r1' is already used in line 2.",
            ),
        ],
    )
    def test_that_are_broken_are_named_by_file_and_line(self, folder, line, sentence):
        file = folder / "heldout.jsonl"
        file.write_text(lines(PROMPTS) + line + "\n", encoding="utf-8")
        with pytest.raises(UserError) as raised:
            _ = load_task(str(folder)).heldout
        assert str(raised.value).startswith(f"{file} {sentence}")


class TestData:
    @pytest.mark.parametrize(
        ("variant", "model", "file"),
        [
            ("on_policy", "small", "small.jsonl"),
            ("on_policy", "large", "large.jsonl"),
            ("on_policy", "a folder of the user's", "small.jsonl"),
            ("on_policy", None, "small.jsonl"),
            ("off_policy", "large", "off.jsonl"),
        ],
    )
    def test_is_chosen_by_variant_and_model(self, folder, variant, model, file):
        assert load_task(str(folder)).train_file(variant, model) == folder / file

    def test_an_unknown_variant_is_one_sentence(self, folder):
        with pytest.raises(
            UserError, match=r"Task 'riddles' has no data variant 'onpolicy'\. Did you mean 'on_policy'\?"
        ):
            load_task(str(folder)).train_file("onpolicy")

    def test_models_are_known_by_name(self, folder):
        task = load_task(str(folder))
        assert task.model_folder("small") == folder / "models" / "small"
        assert task.model_folder("none") is None

    def test_the_first_k_responses_of_every_prompt(self):
        rows = [Row(prompt=p, response=str(i), reward=0, prompt_id=p) for i, p in enumerate("aabab")]
        assert [r.response for r in first_responses(rows, 2)] == ["0", "1", "2", "4"]
        assert first_responses(rows, None) == rows


class TestReward:
    def test_is_the_function_of_the_file(self, folder):
        assert load_task(str(folder)).reward([], ["a", "bcd"]) == [1.0, 3.0]

    def test_of_equal_files_in_two_folders_are_two_functions(self, tmp_path):
        """Each reads the number that lies beside it."""
        text = (
            "import pathlib\ndef read():\n    return pathlib.Path(__file__).with_name('number').read_text()\n"
        )
        found = []
        for name in "ab":
            (tmp_path / name).mkdir()
            (tmp_path / name / "number").write_text(name)
            (tmp_path / name / "reward.py").write_text(text)
            found.append(load_function(tmp_path / name / "reward.py", "read")())
        assert found == ["a", "b"]

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("x = 1", "reward.py has no function 'gold'."),
            ("1 / 0", "reward.py: importing it failed: ZeroDivisionError: division by zero."),
            (None, "reward.py: there is no such file (needed for its function 'gold')."),
        ],
    )
    def test_that_is_not_there_is_one_sentence(self, tmp_path, text, sentence):
        file = tmp_path / "reward.py"
        if text is not None:
            file.write_text(text)
        for _ in range(
            2
        ):  # a failed import leaves nothing behind that the second attempt would take for whole
            with pytest.raises(UserError) as raised:
                load_function(file, "gold")
            assert str(raised.value).endswith(sentence)


class TestIdentity:
    def test_is_what_is_measured_wherever_the_task_lies(self, folder, tmp_path):
        before = load_task(str(folder)).hash
        moved = folder.rename(tmp_path / "moved")
        assert load_task(str(moved)).hash == before

    @pytest.mark.parametrize(
        ("file", "old", "new"),
        [
            ("task.yaml", "version: 1", "version: 2"),
            ("task.yaml", "max_new_tokens: 12", "max_new_tokens: 13"),
            ("heldout.jsonl", "Riddle 0", "Puzzle 0"),
            ("reward.py", "float(len(r))", "2.0"),
            ("words.py", "3", "4"),
        ],
    )
    def test_changes_with_prompts_reward_and_version(self, folder, file, old, new):
        before = load_task(str(folder)).hash
        (folder / file).write_text(
            (folder / file).read_text(encoding="utf-8").replace(old, new), encoding="utf-8"
        )
        assert load_task(str(folder)).hash != before

    @pytest.mark.parametrize(
        ("file", "old", "new"),
        [("task.yaml", "title: Riddles", "title: Others"), ("probe.jsonl", "Probe", "Test")],
    )
    def test_does_not_change_with_the_rest(self, folder, file, old, new):
        before = load_task(str(folder)).hash
        (folder / file).write_text(
            (folder / file).read_text(encoding="utf-8").replace(old, new), encoding="utf-8"
        )
        assert load_task(str(folder)).hash == before
