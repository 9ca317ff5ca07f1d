"""Trackers: what the training log says is in them too, offline and online."""

import importlib.util
import json

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from trainers.errors import UserError
from trainers.tracking import FOLDER, Tracked, check_trackers, numbers_of
from trainers.training_log import TrainingLog

CONFIG = {"method": "rpo", "strength": 0.5, "seed": 3, "lora": None}


def events(folder):
    found = EventAccumulator(str(folder / FOLDER))
    found.Reload()
    return found


def write(folder, steps, keep=-1):
    log = TrainingLog(folder / "train_log.jsonl", keep, Tracked(("tensorboard",), "mine", CONFIG))
    for step in steps:
        log.write({"step": step, "loss": step / 10, "worst": float("nan"), "note": "x"})
    log.close()


def test_tensorboard_holds_the_logs_numbers_and_the_config(tmp_path):
    write(tmp_path, range(3))
    found = events(tmp_path)
    assert found.Tags()["scalars"] == ["train/loss"]
    assert [(one.step, pytest.approx(one.value)) for one in found.Scalars("train/loss")] == [
        (0, 0),
        (1, 0.1),
        (2, 0.2),
    ]
    text = found.Tensors("config/text_summary")[0].tensor_proto.string_val[0].decode()
    config = json.loads(text.strip("`\n"))
    assert (config["run"], config["method"], config["strength"], config["seed"]) == ("mine", "rpo", 0.5, 3)


def test_a_run_that_was_interrupted_has_every_step_once(tmp_path):
    write(tmp_path, range(4))
    write(tmp_path, range(2, 5), keep=1)
    assert [one.step for one in events(tmp_path).Scalars("train/loss")] == [0, 1, 2, 3, 4]


def test_what_isnt_a_finite_number_stays_out():
    assert numbers_of({"step": 3, "a": 1, "b": None, "c": "x", "d": float("inf")}) == {"a": 1.0}


class TestRefused:
    def test_unknown(self):
        with pytest.raises(
            UserError, match="--report-to mlflow: there is no such tracker: choose tensorboard, wandb"
        ):
            check_trackers(["mlflow"])

    def test_not_installed(self, monkeypatch):
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(UserError) as raised:
            check_trackers(["wandb"])
        assert (
            str(raised.value) == "--report-to wandb: it isn't installed: pip install wandb, or leave it out."
        )
