"""Gradient checkpointing changes memory and nothing else, without dropout."""

import dataclasses
import functools
from pathlib import Path

import pytest
import torch
from family_models import FAMILIES, family
from tiny_models import tiny_decoder, tiny_encoder_decoder
from tiny_training import examples, load, weights
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoModelForSequenceClassification

from trainers import DPO, DRO, GRPO, PPO, FitResult, TrainingSettings, World, fit, fit_online
from trainers.critic import RewardStart
from trainers.errors import UserError
from trainers.inputs import TokenLayout, collate
from trainers.logps import token_logps
from trainers.recomputing import enable_recomputing, recomputed_layers, recomputing
from trainers.settings import Lora
from trainers.training_log import read_training_log

PROMPTS, RESPONSES = [[5, 6, 7, 8], [9], [10, 11]], [[12, 1], [13, 14, 15, 16, 1], [17, 18, 1]]
SETTINGS = TrainingSettings(steps=3, batch_size=8, warmup_steps=0, learning_rate=1e-2)
ON = dataclasses.replace(SETTINGS, gradient_checkpointing=True)


@pytest.mark.parametrize("name", FAMILIES)
def test_numbers_and_gradients_stay_the_same_in_every_family(name: str, tmp_path: Path):
    """BART drops activations in its layers themselves: they must stay whole."""
    kind = AutoModelForSeq2SeqLM if name in ("t5", "bart") else AutoModelForCausalLM
    model = kind.from_pretrained(family(name, tmp_path)).eval()
    inputs = collate(PROMPTS, RESPONSES, TokenLayout.of(model))
    model.zero_grad()
    expected = token_logps(model, inputs)
    expected.sum().backward()
    gradients = {key: p.grad.clone() for key, p in model.named_parameters() if p.grad is not None}
    enable_recomputing(model)
    model.zero_grad()
    with recomputing(recomputed_layers(model)):
        found = token_logps(model, inputs)
    found.sum().backward()
    assert torch.equal(found, expected)
    for key, parameter in model.named_parameters():
        if key in gradients:
            torch.testing.assert_close(parameter.grad, gradients[key])


def test_layers_run_again_in_the_backward_pass(tmp_path: Path):
    model = load(tiny_decoder(tmp_path / "decoder")).eval()
    enable_recomputing(model)
    runs: list[None] = []
    part = recomputed_layers(model)[0].self_attn
    part.register_forward_hook(lambda *_: runs.append(None))
    with recomputing(recomputed_layers(model)):
        loss = token_logps(model, collate(PROMPTS, RESPONSES, TokenLayout.of(model))).sum()
    assert len(runs) == 1
    loss.backward()
    assert len(runs) == 2


def folders(root: Path) -> dict[str, Path]:
    return {"decoder": tiny_decoder(root / "decoder"), "t5": tiny_encoder_decoder(root / "t5", scale=1.0)}


@pytest.mark.parametrize("lora", [None, Lora()])
@pytest.mark.parametrize("method", [DPO(), DRO()])
def test_offline_training_is_the_same(method, lora, tmp_path: Path):
    for name, folder in folders(tmp_path).items():
        logs = {}
        for how, settings in {"plain": SETTINGS, "recomputed": ON}.items():
            out, model = tmp_path / name / how, load(folder)
            fit(method, model, examples(), dataclasses.replace(settings, lora=lora), out)
            logs[how] = (
                [row.get("loss", 0.0) for row in read_training_log(out / "train_log.jsonl")],
                weights(model),
            )
        assert logs["plain"][0] == pytest.approx(logs["recomputed"][0], abs=1e-6)
        torch.testing.assert_close(logs["plain"][1], logs["recomputed"][1], atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("method", [GRPO(group_size=4), PPO(group_size=4)])
def test_online_training_is_the_same_and_samples_with_its_cache(method, tmp_path: Path, caplog):
    folder, found = tiny_decoder(tmp_path / "decoder", scale=5.0), {}
    for how, settings in {"plain": SETTINGS, "recomputed": ON}.items():
        model = load(folder)
        world = World(PROMPTS, lambda _, said: [float(len(one)) for one in said], 1, 6, TokenLayout.of(model))
        result = fit_online(method, model, world, settings, tmp_path / how)
        found[how] = weights(model)
        assert isinstance(result, FitResult)
    torch.testing.assert_close(found["plain"], found["recomputed"], atol=1e-4, rtol=1e-3)
    assert "incompatible with gradient checkpointing" not in caplog.text


def kept_bytes(run) -> int:
    """Bytes that are saved for backward passes while something runs."""
    total = 0

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal total
        total += tensor.numel() * tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        run()
    return total


@pytest.mark.parametrize("critic_init", ["reference", "reward"])
def test_in_bfloat16_scoring_keeps_as_little_as_training(critic_init: str, tmp_path: Path):
    """Such passes record gradients, for the same rounding as in training: policy, reference and critic."""
    folder, kept = tiny_decoder(tmp_path / "decoder", scale=5.0), {}
    for settings in (SETTINGS, ON):
        model = load(folder)
        reward = None
        if critic_init == "reward":
            config = model.config
            config.num_labels = 1
            reward = RewardStart(AutoModelForSequenceClassification.from_config(config).eval())
        world = World(
            PROMPTS, lambda _, said: [float(len(one)) for one in said], 1, 6, TokenLayout.of(model), reward
        )
        half = dataclasses.replace(settings, dtype="bfloat16", steps=1)
        method = PPO(group_size=4, critic_init=critic_init)
        out = tmp_path / f"{settings.gradient_checkpointing}"
        kept[settings.gradient_checkpointing] = kept_bytes(
            functools.partial(fit_online, method, model, world, half, out)
        )
    assert kept[True] < 0.6 * kept[False]


def test_a_model_without_such_layers_is_refused_in_one_sentence(tmp_path: Path, monkeypatch):
    model = load(tiny_decoder(tmp_path / "decoder"))
    monkeypatch.setattr(type(model), "supports_gradient_checkpointing", False)
    with pytest.raises(UserError, match="LlamaForCausalLM can't compute its layers again"):
        enable_recomputing(model)
