"""A task's public dataset: from files that are there or else from the hub, as prompts and demonstrations."""

import json

import datasets
import pytest
import yaml

from rpo_bench.errors import UserError
from rpo_bench.tasks.source import VARIABLE
from rpo_bench.tasks.task import load_task

SOURCE = {
    "dataset": "someone/riddles",
    "train": "train",
    "heldout": "test",
    "prompt": "Q: {question}\nA:",
    "response": " {answer}",
    "keep": ["answer"],
    "probe_prompts": 2,
}
TRAIN = [{"question": f"What is {i}?", "answer": f"It is {i}.", "id": i} for i in range(8)]
TEST = [{"question": f"Who is {i}?", "answer": f"I am {i}.", "id": i} for i in range(3)]


@pytest.fixture
def folder(tmp_path):
    """A task of that dataset."""
    folder = tmp_path / "tasks" / "riddles"
    folder.mkdir(parents=True)
    write_task(folder)
    return folder


@pytest.fixture(autouse=True)
def _no_downloads(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)


def write_task(folder, source=None, **changes):
    spec = {
        "name": "riddles",
        "version": 1,
        "title": "Riddles",
        "description": "Asks.",
        "source": {**SOURCE, **(source or {})},
        "max_new_tokens": 8,
        **changes,
    }
    (folder / "task.yaml").write_text(yaml.safe_dump(spec))


def write_lines(file, records):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(record) + "\n" for record in records))


def download(tmp_path, monkeypatch, train=TRAIN, test=TEST):
    """Puts the dataset where the variable says."""
    root = tmp_path / "downloads"
    write_lines(root / "riddles" / "train.jsonl", train)
    write_lines(root / "riddles" / "test.jsonl", test)
    monkeypatch.setenv(VARIABLE, str(root))
    return root / "riddles"


class TestReading:
    def test_templates_make_prompts_and_demonstrations(self, folder, tmp_path, monkeypatch):
        where = download(tmp_path, monkeypatch)
        task = load_task(str(folder))
        rows = task.train_rows("on_policy")
        assert (rows[0].prompt, rows[0].response, rows[0].reward) == ("Q: What is 0?\nA:", " It is 0.", 1.0)
        assert rows[0].metadata == {"answer": "It is 0."}
        assert rows[0].source == f"{where / 'train.jsonl'} line 1"
        assert [prompt.text for prompt in task.heldout] == [f"Q: Who is {i}?\nA:" for i in range(3)]
        assert task.heldout[1].metadata == {"answer": "I am 1."}

    def test_the_last_training_prompts_are_followed_and_not_trained_on(self, folder, tmp_path, monkeypatch):
        download(tmp_path, monkeypatch)
        task = load_task(str(folder))
        assert [prompt.text for prompt in task.probe] == ["Q: What is 6?\nA:", "Q: What is 7?\nA:"]
        assert len(task.train_rows("on_policy")) == 6

    def test_what_is_measured_isnt_trained_on(self, folder, tmp_path, monkeypatch):
        download(tmp_path, monkeypatch, train=[*TEST, *TRAIN])
        task = load_task(str(folder))
        assert len(task.train_rows("on_policy")) == 6
        assert len(task.heldout) == 3

    def test_of_equal_prompts_the_first_counts(self, folder, tmp_path, monkeypatch):
        download(tmp_path, monkeypatch, test=[*TEST, {**TEST[0], "answer": "Other."}])
        heldout = load_task(str(folder)).heldout
        assert len(heldout) == 3
        assert heldout[0].metadata["answer"] == "I am 0."

    def test_braces_in_the_data_are_only_text(self, folder, tmp_path, monkeypatch):
        download(tmp_path, monkeypatch, test=[{"question": "{answer} {", "answer": "}"}])
        assert load_task(str(folder)).heldout[0].text == "Q: {answer} {\nA:"

    @pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl.gz", "saved"])
    def test_other_formats(self, folder, tmp_path, monkeypatch, ending):
        where = tmp_path / "downloads" / "riddles"
        where.mkdir(parents=True)
        parts = {name: datasets.Dataset.from_list(part) for name, part in (("train", TRAIN), ("test", TEST))}
        if ending == "saved":
            datasets.DatasetDict(parts).save_to_disk(where)
        else:
            for name, part in parts.items():
                write = {"parquet": part.to_parquet, "csv": part.to_csv, "jsonl.gz": part.to_json}[ending]
                write(where / f"{name}.{ending}", **({"compression": "gzip"} if ending == "jsonl.gz" else {}))
        monkeypatch.setenv(VARIABLE, str(where.parent))
        task = load_task(str(folder))
        assert [len(task.heldout), len(task.train_rows("on_policy")), len(task.probe)] == [3, 6, 2]
        assert task.heldout[2].text == "Q: Who is 2?\nA:"

    def test_files_named_by_the_task_come_first(self, folder, tmp_path, monkeypatch):
        download(tmp_path, monkeypatch)
        write_lines(folder / "mine.jsonl", TEST[:1])
        write_task(folder, {"data_files": {"test": "mine.jsonl"}})
        assert len(load_task(str(folder)).heldout) == 1

    def test_its_content_is_the_tasks_identity(self, folder, tmp_path, monkeypatch):
        download(tmp_path, monkeypatch)
        before = load_task(str(folder)).hash
        assert load_task(str(folder)).hash == before
        download(tmp_path, monkeypatch, test=TEST[:2])
        assert load_task(str(folder)).hash != before


class TestErrors:
    def refused(self, folder, *parts):
        with pytest.raises(UserError) as raised:
            _ = load_task(str(folder)).heldout
        message = str(raised.value)
        for part in parts:
            assert part in message
        assert "\n" not in message
        return message

    def test_a_hub_out_of_reach_says_what_to_set(self, folder, monkeypatch):
        monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        message = self.refused(
            folder,
            "Task 'riddles': hf:someone/riddles: there is no such folder, and no copy from the hub",
            "HF_HUB_OFFLINE prevents downloads: give a folder, or unset it; or give files with",
            "--data-files train=FILE",
            f"set {VARIABLE} to a folder with the dataset as riddles/train.jsonl and riddles/test.jsonl.",
        )
        assert ".." not in message

    def test_a_missing_file_is_named(self, folder, tmp_path, monkeypatch):
        where = download(tmp_path, monkeypatch)
        (where / "test.jsonl").unlink()
        self.refused(
            folder, str(where / "test.jsonl"), "split 'test' of someone/riddles", "unset the variable"
        )

    def test_a_missing_column_is_named_with_its_place(self, folder, tmp_path, monkeypatch):
        where = download(tmp_path, monkeypatch, test=[TEST[0], {"query": "Who?", "answer": "I."}])
        self.refused(
            folder,
            f"{where / 'test.jsonl'} line 2: the column 'question' is missing; there are query, answer.",
        )

    def test_a_broken_line_is_named(self, folder, tmp_path, monkeypatch):
        where = download(tmp_path, monkeypatch)
        (where / "test.jsonl").write_text("{\n")
        self.refused(folder, f"{where / 'test.jsonl'} line 1: not JSON")

    def test_an_empty_split_is_one_sentence(self, folder, tmp_path, monkeypatch):
        where = download(tmp_path, monkeypatch, test=[])
        self.refused(folder, f"{where / 'test.jsonl'} has no records.")

    def test_an_answer_that_the_verifier_cant_read_is_named(self, folder, tmp_path, monkeypatch):
        """A verifier that wants "It is …" or "I am …"."""
        (folder / "reward.py").write_text(
            "from rpo_bench.verifier import Verifier\n"
            "@Verifier\n"
            "def right(prompt, response):\n"
            "    answer = prompt.metadata['answer']\n"
            "    return response == answer if answer.startswith('I') else None\n"
        )
        write_task(folder, reward="reward.py:right")
        where = download(tmp_path, monkeypatch, train=[*TRAIN[:3], {"question": "Why?", "answer": "So."}])
        self.refused(folder, f"{where / 'train.jsonl'} line 4: reward.py:right can't read its answer.")

    @pytest.mark.parametrize(
        ("source", "changes", "message"),
        [
            ({}, {"heldout": "x.jsonl"}, "'source' replaces 'train', 'heldout', 'tuning' and 'probe'"),
            ({"prompt": "{question"}, {}, "source.prompt: expected '}' before end of string"),
            ({"splits": {}}, {}, "unknown field 'source.splits'. Known: chosen, config, "),
        ],
    )
    def test_a_description_that_cant_be(self, folder, source, changes, message):
        write_task(folder, source, **changes)
        with pytest.raises(UserError) as raised:
            load_task(str(folder))
        assert str(raised.value).startswith(f"{folder / 'task.yaml'}: {message}")


def test_few_training_prompts_are_not_all_probes(folder, tmp_path, monkeypatch):
    """Half of them at most: three prompts leave two to train on, though two probes are asked for."""
    download(tmp_path, monkeypatch, train=TRAIN[:3])
    task = load_task(str(folder))
    assert (len(task.train_rows("on_policy")), len(task.probe)) == (2, 1)
