"""``rpo-bench oracle``: a task's own samples, new ones, stored ones; and who finds them."""

import json
from pathlib import Path

import numpy as np
import pytest
from results_factory import cell_spec
from run_cli import invoke
from tiny_task import tiny_task

from rpo_bench.engine.inputs.base_models import find_model
from rpo_bench.spec.sections import EvaluationSpec
from rpo_bench.spec.trust import Trust
from rpo_bench.tasks.oracle_files import find_oracle
from rpo_bench.tasks.task import load_task


@pytest.fixture(scope="module")
def task(tmp_path_factory) -> Path:
    return tiny_task(tmp_path_factory.mktemp("oracle") / "tiny")


def told(*arguments: object) -> dict:
    ended = invoke("oracle", *arguments, "--json")
    assert ended.exit_code == 0, ended.output
    return json.loads(ended.stdout)


def test_samples_are_drawn_once_stored_beside_results_and_found(task: Path, tmp_path: Path):
    first = told("--task", task, "--results", tmp_path, "--samples", "40")
    assert (first["prompts"], first["samples"]) == (6, 40)
    assert first["source"].startswith("sampled, and stored in")
    (file,) = tmp_path.rglob("oracle/*.npz")
    written = file.stat().st_mtime_ns
    again = told("--task", task, "--results", tmp_path)
    assert again["source"] == f"stored in {file}"
    assert again["points"] == first["points"]
    assert told("--task", task, "--results", tmp_path, "--samples", "32")["samples"] == 32
    assert file.stat().st_mtime_ns == written

    loaded = load_task(str(task))
    model = find_model("decoder", {"decoder": task / "models" / "decoder"}, Trust(), None)
    spec = cell_spec(
        task=loaded.spec.name,
        task_hash=loaded.hash,
        model_hash=model.hash,
        evaluation=EvaluationSpec(limit=4),
    )
    oracle = find_oracle(spec, [tmp_path])
    assert oracle.samples == 40
    assert oracle.select(("0", "1", "2", "3")) is not None
    other = find_oracle(cell_spec(task="tiny", task_hash=loaded.hash, model_hash="0" * 64), [tmp_path])
    assert isinstance(other, str)


def test_a_task_with_samples_of_its_own_needs_none(task: Path, tmp_path: Path):
    folder = tmp_path / "own"
    folder.mkdir()
    for name in ("heldout.jsonl", "train.jsonl", "reward.py", "models"):
        (folder / name).symlink_to(task / name)
    yaml = (task / "task.yaml").read_text().replace("probe: probe.jsonl\n", "")
    (folder / "task.yaml").write_text(yaml + "reference_samples: {decoder: samples.npz}\n")
    rewards = np.random.default_rng(0).normal(size=(6, 128))
    np.savez(folder / "samples.npz", rewards=rewards)
    found = told("--task", folder)
    assert (found["samples"], found["source"]) == (128, "the task's reference samples")
    assert found["points"][0]["reward"]["point"] == pytest.approx(rewards.mean(), abs=1e-6)
    table = invoke("oracle", "--task", folder)
    assert "Reliable up to" in table.stdout
    assert "Best of n" in table.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "has no reference samples for 'decoder': set --samples"),
        (["--samples", "5"], "--samples 5: an oracle needs at least 32 per prompt"),
        (["--model", "nobody"], "nobody"),
    ],
)
def test_what_is_missing_is_said(task: Path, tmp_path: Path, arguments, said):
    ended = invoke("oracle", "--task", task, "--results", tmp_path, *arguments)
    assert ended.exit_code == 2
    assert said in ended.stderr
