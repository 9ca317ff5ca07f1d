"""Every optimiser trains by both engines, scales of losses don't matter to it, and it resumes."""

import dataclasses
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from tiny_models import tiny_decoder
from tiny_training import examples, load, weights
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.optimization import Adafactor

from trainers import DPO, DRO, PPO, TrainingSettings, World, fit, fit_online, fitting_online
from trainers.errors import UserError
from trainers.inputs import TokenLayout
from trainers.optimisers import policy_optimiser, spare_embeddings
from trainers.settings import check_optimiser
from trainers.training_log import read_training_log

eight_bits = pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="bitsandbytes isn't installed")
NAMES = (
    "adamw",
    "adafactor",
    pytest.param("adamw-8bit", marks=eight_bits),
    pytest.param("paged-adamw-8bit", marks=eight_bits),
)
PROMPTS = [[5, 6, 7], [8], [9, 10], [11]]
pytestmark = pytest.mark.filterwarnings("ignore:Paged optimizers are not supported on CPU")


def settings_of(name: str, **more) -> TrainingSettings:
    rate = 1e-2 if name != "adafactor" else 3e-2
    return TrainingSettings(steps=12, batch_size=16, warmup_steps=0, learning_rate=rate, optim=name, **more)


@pytest.mark.parametrize("name", NAMES)
def test_offline_losses_fall(name: str, tmp_path: Path):
    """A value network trains by it too."""
    for method in (DPO(), DRO()):
        out, model = tmp_path / method.name, load(tiny_decoder(tmp_path / "decoder"))
        fit(method, model, examples(), settings_of(name), out)
        losses = [row["loss"] for row in read_training_log(out / "train_log.jsonl")[1:]]
        assert sum(losses[-3:]) < sum(losses[:3])


@pytest.mark.parametrize("name", NAMES)
def test_online_policy_and_critic_move(name: str, tmp_path: Path, monkeypatch):
    made = fitting_online._critic
    model = load(tiny_decoder(tmp_path / "decoder", scale=5.0))
    before = weights(model)
    world = World(PROMPTS, lambda _, said: [float(len(one)) for one in said], 1, 6, TokenLayout.of(model))
    trained = []
    monkeypatch.setattr(fitting_online, "_critic", lambda *given: trained.append(made(*given)) or trained[-1])
    fit_online(PPO(group_size=4), model, world, settings_of(name), tmp_path / "out")
    assert (weights(model) - before).abs().max() > 1e-2
    assert trained[0].head.weight.abs().max() > 1e-3, "a critic's head starts at zero"
    assert torch.isfinite(weights(model)).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_stopped_run_ends_like_a_whole_one(name: str, tmp_path: Path):
    class StopError(Exception):
        pass

    def stop(step: int, record: dict[str, float]) -> None:
        if step == 8:
            raise StopError

    folder, settings = tiny_decoder(tmp_path / "decoder"), settings_of(name, save_every=3)
    whole, stopped, resumed = load(folder), load(folder), load(folder)
    fit(DPO(), whole, examples(), settings, tmp_path / "whole")
    with pytest.raises(StopError):
        fit(DPO(), stopped, examples(), settings, tmp_path / "stopped", progress=stop)
    fit(DPO(), resumed, examples(), settings, tmp_path / "stopped")
    torch.testing.assert_close(weights(whole), weights(resumed), atol=0, rtol=0)


def test_adafactor_is_that_of_transformers_with_the_papers_decay(tmp_path: Path):
    """arXiv 2405.19107 trains DRO with AdaFactor, decay 0.8."""
    optimiser = policy_optimiser(load(tiny_decoder(tmp_path / "decoder")), 1e-3, settings_of("adafactor"))
    assert isinstance(optimiser, Adafactor)
    group = optimiser.param_groups[0]
    assert (group["decay_rate"], group["relative_step"], group["scale_parameter"]) == (-0.8, False, False)


def test_what_is_not_installed_is_said_before_any_work(monkeypatch):
    monkeypatch.setattr("trainers.settings.find_spec", lambda name: None)
    with pytest.raises(UserError, match="--optim adamw-8bit: bitsandbytes isn't installed: pip install"):
        check_optimiser("adamw-8bit")
    check_optimiser("adafactor")


def model_with_matrices() -> LlamaForCausalLM:
    """bitsandbytes keeps 32 bits of parameters below 4,096 numbers."""
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=128, hidden_size=64, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
            pad_token_id=0, eos_token_id=1, bos_token_id=None, tie_word_embeddings=True,
        )
    )  # fmt: skip


@eight_bits
@pytest.mark.parametrize("engine", ["offline", "online"])
def test_eight_bit_states_are_of_matrices_and_not_of_embeddings(engine: str, tmp_path: Path, monkeypatch):
    """Whatever was trained before in the same process: bitsandbytes finds exceptions by address."""
    made = []
    where = f"trainers.{'offline' if engine == 'offline' else 'optimisers'}.spare_embeddings"
    monkeypatch.setattr(where, lambda *given: made.append(given[0]) or spare_embeddings(*given))
    settings = dataclasses.replace(settings_of("adamw-8bit"), steps=2)
    for number in range(3):
        model, out = model_with_matrices(), tmp_path / f"{number}"
        if engine == "offline":
            fit(DRO(), model, examples(), settings, out)
        else:
            world = World(
                PROMPTS, lambda _, said: [float(len(one)) for one in said], 1, 6, TokenLayout.of(model)
            )
            fit_online(PPO(group_size=4), model, world, settings, out)
        kinds = {name: made[-1].state.get(p) for name, p in model.named_parameters()}
        if engine == "online":  # the critic's optimiser is made after the policy's
            kinds = {name: made[-2].state[p] for name, p in model.named_parameters()}
            assert torch.uint8 in {state["state1"].dtype for state in made[-1].state.values()}
        assert kinds["model.embed_tokens.weight"]["state1"].dtype == torch.float32
        assert kinds["model.layers.0.mlp.up_proj.weight"]["state1"].dtype == torch.uint8
