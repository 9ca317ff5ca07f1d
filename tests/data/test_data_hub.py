"""Hugging Face datasets: saved on disk, and the way to the hub as far as it goes without a network."""

import logging

import datasets
import pytest

from rpo_bench.data.readers import read_rows
from rpo_bench.errors import UserError

TRAIN = [{"prompt": f"p{i}", "response": "So.", "reward": float(i)} for i in range(4)]
TEST = [{"prompt": "q", "response": "No.", "reward": 0.0}]


def dataset(records):
    return datasets.Dataset.from_list(records)


def test_a_saved_dataset_gives_its_rows(tmp_path):
    dataset(TRAIN).save_to_disk(tmp_path / "saved")
    rows = read_rows(tmp_path / "saved")
    assert [(r.prompt, r.response, r.reward, r.split) for r in rows] == [
        (f"p{i}", "So.", float(i), None) for i in range(4)
    ]
    assert rows[2].source == f"{tmp_path / 'saved'} row 3"


def test_a_nested_feature_is_read_as_a_list_of_responses(tmp_path):
    records = [
        {"prompt": p, "responses": [{"text": "A", "reward": 1.0}, {"text": "B", "reward": 0.0}]} for p in "ab"
    ]
    dataset(records).save_to_disk(tmp_path / "saved")
    assert [r.response for r in read_rows(tmp_path / "saved")] == ["A", "B", "A", "B"]


def test_a_divided_dataset_says_which_rows_are_held_out(tmp_path, caplog):
    parts = {"train": dataset(TRAIN), "test": dataset(TEST), "extra": dataset(TEST)}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "saved")
    with caplog.at_level(logging.WARNING):
        rows = read_rows(tmp_path / "saved")
    assert [r.split for r in rows] == ["train"] * 4 + ["test"]
    assert rows[-1].source == f"{tmp_path / 'saved'} row 1 of split 'test'"
    assert "left out: extra" in caplog.text


def test_one_part_of_a_divided_dataset_counts_as_undivided(tmp_path):
    parts = {"train_prefs": dataset(TRAIN), "test_prefs": dataset(TEST)}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "saved")
    assert {r.split for r in read_rows(tmp_path / "saved", split="train_prefs")} == {None}
    with pytest.raises(UserError, match="has the splits train_prefs, test_prefs: choose one with --split"):
        read_rows(tmp_path / "saved")
    with pytest.raises(UserError, match=r"has no split 'train_pref'\. Did you mean 'train_prefs'\?"):
        read_rows(tmp_path / "saved", split="train_pref")


def test_a_folder_that_is_no_dataset_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="is a folder, but not a Hugging Face dataset saved by save_to_disk"):
        read_rows(tmp_path)


def test_a_damaged_dataset_is_one_sentence(tmp_path):
    dataset(TRAIN).save_to_disk(tmp_path / "saved")
    next((tmp_path / "saved").glob("*.arrow")).write_bytes(b"nonsense")
    with pytest.raises(UserError, match="the saved dataset can't be loaded") as raised:
        read_rows(tmp_path / "saved")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["hf:", "hf::config"])
def test_the_hub_needs_a_name(name):
    with pytest.raises(UserError, match="needs a dataset's name after the colon"):
        read_rows(name)


def test_an_unreachable_hub_is_one_sentence(monkeypatch):
    """Offline, the loading itself runs and fails as it would without a network."""
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        UserError, match=r"^hf:no-such-org/no-such-data: there is no such folder, and no copy from the hub"
    ) as raised:
        read_rows("hf:no-such-org/no-such-data")
    assert "\n" not in str(raised.value)


def test_the_hubs_way_of_loading_reads_local_files_too(tmp_path):
    """``load_dataset`` takes a folder of files for a dataset of that name: the same code, offline."""
    folder = tmp_path / "name"
    folder.mkdir()
    dataset(TRAIN).to_json(folder / "train.jsonl")
    rows = read_rows(f"hf:{folder}", split="train[:3]")
    assert [(r.prompt, r.split) for r in rows] == [("p0", None), ("p1", None), ("p2", None)]
