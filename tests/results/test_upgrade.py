"""Records of earlier versions are read as if they were of this one."""

import json
from pathlib import Path

import pytest
from results_factory import cell_spec, record_of

from rpo_bench.files.hashing import hash_json
from rpo_bench.results import upgrade
from rpo_bench.results.store import BrokenRecord, read_record, write_record
from rpo_bench.results.upgrade import TooOld, holds_its_hash, upgraded


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_record(tmp_path, record_of(cell_spec()))
    return tmp_path


def rewrite(folder: Path, change) -> dict:
    file = folder / "result.json"
    value = json.loads(file.read_text())
    change(value)
    file.write_text(json.dumps(value))
    return value


def test_steps_are_taken_one_after_the_other_and_leave_their_argument_alone():
    """Version 1 called it a, version 2 b, version 3 counts from one."""
    steps = {
        1: lambda value: {"b": value["a"]},
        2: lambda value: {"b": value["b"] + 1},
    }
    old = {"schema_version": 1, "a": 4}
    assert upgraded(old, steps=steps, to=3) == {"schema_version": 3, "b": 5}
    assert old == {"schema_version": 1, "a": 4}
    assert upgraded({"schema_version": 3, "b": 5}, steps=steps, to=3) == {"schema_version": 3, "b": 5}


def test_a_missing_step_is_named():
    with pytest.raises(TooOld, match="schema version 1 is too old: it can't be upgraded to 3"):
        upgraded({"schema_version": 1}, steps={2: dict}, to=3)


def test_an_old_record_is_upgraded_when_it_is_read(folder: Path, monkeypatch):
    """A made-up version 0 called ``command`` "reproduce"."""

    def age(value: dict) -> None:
        value["schema_version"] = 0
        value["reproduce"] = value.pop("command")

    rewrite(folder, age)
    with pytest.raises(BrokenRecord, match="schema version 0 is too old"):
        read_record(folder)

    def step(value: dict) -> dict:
        kept = {name: part for name, part in value.items() if name != "reproduce"}
        return {**kept, "command": value["reproduce"]}

    monkeypatch.setattr(upgrade, "UPGRADES", {0: step})
    assert read_record(folder) == record_of(cell_spec())


def test_a_record_from_before_a_setting_existed_has_its_default_and_todays_identity(folder: Path):
    def older(value: dict) -> None:
        del value["spec"]["training"]["warmup_steps"]
        spec = {name: part for name, part in value["spec"].items() if name != "model_path"}
        spec["data"] = {name: part for name, part in spec["data"].items() if name != "file"}
        spec["training"] = {name: part for name, part in spec["training"].items() if name != "reward"}
        value["cell"] = hash_json(spec)

    value = rewrite(folder, older)
    assert value["cell"] != cell_spec().hash
    record = read_record(folder)
    assert record.spec == cell_spec()
    assert record.cell == cell_spec().hash


def test_a_spec_that_was_changed_by_hand_is_still_refused(folder: Path):
    value = rewrite(folder, lambda value: value["spec"].update(seed=7))
    assert not holds_its_hash(value)
    with pytest.raises(BrokenRecord, match="not the hash"):
        read_record(folder)
    assert not holds_its_hash({"spec": None, "cell": "x"})
