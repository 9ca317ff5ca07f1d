"""Checkpoints kept at probes: all of them, or the one with the best reward; the last is as without them."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import rank_runs
import torch
from safetensors.torch import load_file
from tiny_models import tiny_decoder
from tiny_training import examples, load
from transformers import AutoModelForCausalLM

from rpo_bench.engine.pool.rank_process import RankPlan
from rpo_bench.engine.pool.ranks import run_ranks
from trainers import DPO, GRPO, RPO, TrainingSettings, World, fit, fit_online
from trainers.errors import UserError
from trainers.fitting_rounds import fit_rounds
from trainers.inputs import TokenLayout
from trainers.kept_checkpoints import KeptCheckpoints
from trainers.settings import Lora

SETTINGS = TrainingSettings(
    steps=8, batch_size=8, warmup_steps=0, learning_rate=1e-3, probe_every=2, save_every=3
)
METHODS = {"offline": DPO(), "rounds": RPO(rounds=2, samples=4), "online": GRPO(group_size=4)}


def train(
    method: Any, root: Path, out: Path, settings: TrainingSettings, rewards: Any = None, stop: int = 99
):
    """A training whose probes measure the given rewards, one after the other; it may be stopped."""
    model = load(root / "decoder" if (root / "decoder").exists() else tiny_decoder(root / "decoder"))
    measured = iter(rewards or [0.0] * 9)

    def progress(step: int, _: Any) -> None:
        if step == stop:
            raise rank_runs.StoppedError

    def probe(_: Any) -> dict[str, float]:
        return {"probe_reward": next(measured)}

    more = {"probe": probe, "progress": progress}
    world = World(rank_runs.PROMPTS, rank_runs.distinct, 1, 6, TokenLayout.of(model))
    if isinstance(method, GRPO):
        return fit_online(method, model, world, settings, out, **more)
    if method.rounds:
        return fit_rounds(method, model, world, settings, out, **more)
    return fit(method, model, examples(), settings, out, **more)


def kept(out: Path) -> list[str]:
    return sorted(path.name for path in (out / "checkpoints").glob("*"))


@pytest.mark.parametrize("kind", METHODS)
def test_all_are_the_policies_of_shorter_trainings(kind: str, tmp_path: Path):
    every = dataclasses.replace(SETTINGS, keep_checkpoints="all")
    train(METHODS[kind], tmp_path, tmp_path / "all", every)
    assert kept(tmp_path / "all") == ["step-2", "step-4", "step-6", "step-8"]
    train(METHODS[kind], tmp_path, tmp_path / "last", SETTINGS)
    assert not (tmp_path / "last" / "checkpoints").exists()
    final = load_file(tmp_path / "last" / "checkpoint" / "model.safetensors")
    for folder in ("checkpoint", "checkpoints/step-8"):
        found = load_file(tmp_path / "all" / folder / "model.safetensors")
        assert all(torch.equal(found[name], weight) for name, weight in final.items()), folder
    middle = AutoModelForCausalLM.from_pretrained(tmp_path / "all" / "checkpoints" / "step-4").state_dict()
    assert any(not torch.equal(middle[name], weight) for name, weight in final.items() if name in middle)


@pytest.mark.parametrize("kind", METHODS)
def test_the_best_is_that_of_the_highest_reward(kind: str, tmp_path: Path):
    """The first model's reward doesn't count: it isn't a checkpoint. Of equal ones the first stays."""
    best = dataclasses.replace(SETTINGS, keep_checkpoints="best")
    train(METHODS[kind], tmp_path, tmp_path / "best", best, [9.0, 1.0, 3.0, 3.0, 2.0])
    assert kept(tmp_path / "best") == ["step-4"]


@pytest.mark.parametrize("kind", METHODS)
def test_a_resumed_training_knows_which_was_best(kind: str, tmp_path: Path):
    best = dataclasses.replace(SETTINGS, keep_checkpoints="best")
    with pytest.raises(rank_runs.StoppedError):
        train(METHODS[kind], tmp_path, tmp_path / "out", best, [9.0, 1.0, 3.0, 2.0], stop=7)
    assert kept(tmp_path / "out") == ["step-4"]
    # From step 6 on again. A probe of that step may run once more.
    train(METHODS[kind], tmp_path, tmp_path / "out", best, [2.0, 2.0, 2.0])
    assert kept(tmp_path / "out") == ["step-4"]


def test_a_resumed_training_deletes_what_it_makes_again(tmp_path: Path):
    """Its policies may differ by rounding, if it goes on with another number of processes."""
    for step in (2, 4, 6):
        (tmp_path / "checkpoints" / f"step-{step}").mkdir(parents=True)
    KeptCheckpoints(tmp_path, "all").resume(4)
    assert kept(tmp_path) == ["step-2", "step-4"]


def test_adapters_are_kept_as_adapters(tmp_path: Path):
    settings = dataclasses.replace(SETTINGS, keep_checkpoints="all", lora=Lora(rank=2))
    train(DPO(), tmp_path, tmp_path / "out", settings)
    names = {path.name for path in (tmp_path / "out" / "checkpoints" / "step-2").iterdir()}
    assert {"adapter_model.safetensors", "adapter_config.json"} <= names
    assert "README.md" not in names


def test_sharded_policies_are_kept_whole(tmp_path: Path):
    tiny_decoder(tmp_path / "decoder")
    settings = dataclasses.replace(SETTINGS, keep_checkpoints="all", steps=4)
    run = (DPO(), tmp_path / "decoder", tmp_path / "out", settings)
    run_ranks(rank_runs.train_all, ([run], False), RankPlan(2, sharded=True))
    assert kept(tmp_path / "out") == ["step-2", "step-4"]
    last, same = (
        load_file(tmp_path / "out" / name / "model.safetensors")
        for name in ("checkpoint", "checkpoints/step-4")
    )
    assert all(torch.equal(same[name], weight) for name, weight in last.items())


def test_what_nothing_can_be_kept_by_is_one_sentence(tmp_path: Path):
    with pytest.raises(UserError, match="all keeps the policies of probes: give --probe-every"):
        KeptCheckpoints(tmp_path, "all").check(probes=False)
    with pytest.raises(UserError, match="--keep-checkpoints best: the probe has no reward"):
        KeptCheckpoints(tmp_path, "best").after_probe(0, None, {"probe_kl": 1.0})
