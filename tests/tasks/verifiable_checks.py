"""What is shipped for a verifiable task: models, rows and reference samples agree with one another."""

import numpy as np
import pytest

from rpo_bench.data.readers import read_rows
from rpo_bench.models.hf import HFModel
from rpo_bench.tasks.task import Task
from tasks.verifiable_report import Behaviour, behave


def folder_bytes(task: Task) -> int:
    files = [file for file in task.folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    return sum(file.stat().st_size for file in files)


def weights_bytes(task: Task) -> int:
    return sum((task.model_folder(name) / "model.safetensors").stat().st_size for name in task.spec.models)


def check_prompts(task: Task) -> None:
    """Enough prompts, none of them in two parts."""
    trained = {row.prompt for file in task.spec.train.values() for row in read_rows(task.folder / file)}
    heldout = {prompt.text for prompt in task.heldout}
    probe = {prompt.text for prompt in task.probe}
    assert len(trained) >= 600
    assert (len(heldout), len(probe)) == (len(task.heldout), len(task.probe))
    assert len(heldout) >= 128
    assert not trained & heldout
    assert not (trained | heldout) & probe


def check_rows(task: Task, name: str, k: int) -> None:
    """K responses per prompt, each with the verifier's verdict and its log-probability under the model."""
    rows = read_rows(task.train_file("on_policy", name))
    counts = np.unique([row.prompt_id for row in rows], return_counts=True)[1]
    assert set(counts) == {k}
    prompts = [task.heldout[0].model_copy(update={"prompt_id": r.prompt_id, "text": r.prompt}) for r in rows]
    assert task.reward(prompts, [row.response for row in rows]) == [row.reward for row in rows]
    assert {len(row.reference_rewards) for row in rows} == {32}
    assert {reward for row in rows for reward in row.reference_rewards} == {0.0, 1.0}
    policy = HFModel.load(task.model_folder(name), device="cpu")
    some = rows[::100]
    tokens = policy.tokenizer([row.response for row in some], add_special_tokens=False).input_ids
    eos = policy.tokenizer.eos_token_id
    logps = policy.token_logps([row.prompt for row in some], [(*ids, eos) for ids in tokens], 64)
    assert [logp.sum() for logp in logps] == pytest.approx([r.behaviour_logp for r in some], abs=1e-3)


def check_agreement(task: Task, name: str, behaviour: Behaviour) -> None:
    """Fresh samples, the oracle's, the reference rewards and the rows are of one policy (four errors)."""
    stored = np.load(task.folder / task.spec.reference_samples[name])
    rewards = stored["rewards"].astype(float)
    assert stored["prompt_ids"].tolist() == [prompt.prompt_id for prompt in task.heldout]
    error = (rewards.var(axis=1).mean() / behaviour.verdicts.size) ** 0.5
    assert behaviour.verdicts.mean() == pytest.approx(rewards.mean(), abs=4 * error + 0.005)
    rows = read_rows(task.train_file("on_policy", name))
    reference = np.mean([row.reference_rewards for row in rows])
    assert np.mean([row.reward for row in rows]) == pytest.approx(reference, abs=4 * 0.5 / len(rows) ** 0.5)


def sampled(task: Task, name: str, readable) -> Behaviour:
    return behave(task, HFModel.load(task.model_folder(name), device="cpu"), readable, samples=16, seed=5)
