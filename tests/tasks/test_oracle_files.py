"""Where a panel's oracle comes from, and why there may be none."""

import json

import numpy as np
import pytest
from results_factory import cell_spec

from rpo_bench.errors import UserError
from rpo_bench.spec.sections import Decoding, EvaluationSpec
from rpo_bench.stats.oracle import estimate_oracle
from rpo_bench.tasks import oracle_files as module
from rpo_bench.tasks.oracle_files import find_oracle, read_oracle
from rpo_bench.tasks.task import load_folder

PROMPTS = ("p0", "p1")


@pytest.fixture
def task(tmp_path, monkeypatch):
    """A task of two prompts with reference samples for one model, within reach."""
    folder = tmp_path / "little"
    folder.mkdir()
    lines = [json.dumps({"prompt_id": one, "text": "Why?"}) for one in PROMPTS]
    (folder / "heldout.jsonl").write_text("\n".join(lines))
    (folder / "rows.jsonl").write_text("")
    (folder / "task.yaml").write_text(
        "name: little\nversion: 1\ntitle: L\ndescription: d\ntrain: {a: rows.jsonl}\nheldout: heldout.jsonl\n"
        "max_new_tokens: 8\nreference_samples: {decoder: samples.npz}\n"
    )
    np.savez(folder / "samples.npz", rewards=np.random.default_rng(0).normal(size=(2, 64)).astype("float32"))
    monkeypatch.setattr(module, "task_folders", lambda _: {"little": folder})
    monkeypatch.setattr(module, "known_task", lambda name, _: load_folder(folder))
    return load_folder(folder)


def cell(of, **changes):
    return cell_spec(**{"task": "little", "task_hash": of.hash, **changes})


def test_it_is_read_from_the_task(task):
    found = find_oracle(cell(task))
    assert (found.prompts, found.samples, found.kl.shape[0]) == (PROMPTS, 64, 2)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"task_hash": "0" * 64}, "the task has changed"),
        ({"model": "encoder-decoder"}, "no reference samples for this model"),
        ({"task": "data:mine"}, "isn't available here"),
        ({"evaluation": EvaluationSpec(reward="python:r.py:f")}, "not the task's own"),
        ({"evaluation": EvaluationSpec(decoding=Decoding(top_k=5))}, "holds only for ancestral sampling"),
    ],
)
def test_there_is_none_for_results_that_it_says_nothing_of(task, changes, reason):
    assert reason in find_oracle(cell(task, **changes))


@pytest.mark.parametrize(
    "rewards",
    [np.zeros((3, 8)), np.zeros(2), np.full((2, 8), np.nan)],
    ids=["prompts", "shape", "not finite"],
)
def test_samples_that_do_not_fit_the_task_are_an_error(task, rewards):
    np.savez(task.folder / "samples.npz", rewards=rewards)
    with pytest.raises(UserError, match="wanted finite rewards"):
        read_oracle(task, "decoder")


@pytest.mark.parametrize("content", [b"", b"text", None], ids=["empty", "text", "missing"])
def test_samples_that_cannot_be_read_are_a_reason(task, content):
    file = task.folder / "samples.npz"
    file.unlink() if content is None else file.write_bytes(content)
    reason = find_oracle(cell(task))
    assert reason.startswith("samples.npz")
    assert str(task.folder) not in reason


def test_pickled_samples_are_refused(task):
    np.savez(task.folder / "samples.npz", rewards=np.array([{"a": 1}], dtype=object))
    assert find_oracle(cell(task)).startswith("samples.npz can't be read")


def test_the_oracle_begins_at_the_reference_and_rises():
    rewards = np.random.default_rng(1).normal(size=(5, 400))
    oracle = estimate_oracle(rewards, tuple("abcde"))
    assert oracle.kl[:, 0] == pytest.approx(np.zeros(5), abs=1e-9)
    assert oracle.reward[:, 0] == pytest.approx(rewards.mean(axis=1))
    assert (np.diff(oracle.kl.mean(axis=0)) >= -1e-9).all()
    assert (np.diff(oracle.reward.mean(axis=0)) >= -1e-9).all()
    assert 0 < oracle.end < np.log(400)


def test_prompts_are_selected_in_the_order_asked_for():
    rewards = np.arange(6.0).reshape(3, 2)
    oracle = estimate_oracle(rewards, ("a", "b", "c"))
    assert oracle.select(("c", "a")).reward[:, 0].tolist() == [4.5, 0.5]
    assert oracle.select(("a", "x")) is None
    assert oracle.select(()) is None
