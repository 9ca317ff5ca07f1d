"""vLLM's engine: what it is told, and, where there is one, that it samples from the very same policy."""

import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from family_models import family_tokenizer
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from rpo_bench.errors import UserError
from rpo_bench.models.backends.protocol import Request
from rpo_bench.models.backends.vllm_engine import (
    PYTHON,
    VllmEngine,
    check_installed,
    interpreter,
    sampling_settings,
)
from rpo_bench.models.backends.vllm_rollouts import VllmRollouts
from rpo_bench.models.hf import HFModel
from rpo_bench.spec.sections import Decoding, VllmSettings
from trainers import GRPO, TrainingSettings, World, fit_online
from trainers.inputs import TokenLayout
from trainers.settings import Lora
from trainers.training_log import read_training_log

PROMPTS = ("what is the river ?", "why is the cat ?", "how good is the green garden ?")


def test_it_is_told_our_decoding_and_no_other():
    decoding = Decoding(temperature=0.7, top_k=50, top_p=0.9, repetition_penalty=1.2, max_new_tokens=8)
    assert sampling_settings(decoding, (7, 1)) == {
        "n": 1, "temperature": 0.7, "top_k": 50, "top_p": 0.9, "repetition_penalty": 1.2, "max_tokens": 8,
        "stop_token_ids": [7, 1], "ignore_eos": True, "logprobs": 0, "detokenize": False,
    }  # fmt: skip


def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *lines: str) -> Path:
    """A script in the place of the interpreter."""
    script = tmp_path / "python"
    script.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv(PYTHON, str(script))
    return script


def test_an_interpreter_without_vllm_is_named_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    bare = stand_in(tmp_path, monkeypatch, "exit 1")
    with pytest.raises(UserError, match=f"{bare} has no vLLM: pip install vllm there, or set {PYTHON}"):
        check_installed()
    monkeypatch.setenv(PYTHON, str(tmp_path / "nothing"))
    with pytest.raises(UserError, match=r"can't be run \(No such file or directory\)"):
        check_installed()


def test_an_engine_that_fails_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    stand_in(tmp_path, monkeypatch, "echo Traceback", "echo 'ValueError: no GPU memory is left'", "exit 1")
    engine = VllmEngine(tmp_path / "model")
    with pytest.raises(UserError, match=r"could not sample from .*model: ValueError: no GPU memory is left"):
        engine.sample([Request((1, 2), "x", 0)], Decoding(max_new_tokens=4), (1,))


def test_the_engine_gets_the_settings_and_a_context_as_long_as_needed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """A stand-in for the interpreter keeps the request and answers with the version alone."""
    said = '{"version": "v", "samples": []}'
    stand_in(tmp_path, monkeypatch, f"cp $2 {tmp_path}/asked.json", f"echo '{said}' > $3")
    settings = VllmSettings(tensor_parallel_size=2, gpu_memory_utilization=0.5)
    engine = VllmEngine(tmp_path / "model", "bfloat16", settings)
    answer = engine.sample([Request((1, 2, 3), "x", 5)], Decoding(max_new_tokens=4), (1,))
    asked = json.loads((tmp_path / "asked.json").read_text())
    assert asked["engine"] == {
        "model": str(tmp_path / "model"), "dtype": "bfloat16", "max_model_len": 7, "seed": 0,
        "skip_tokenizer_init": True, "generation_config": "vllm", "trust_remote_code": False,
        "tensor_parallel_size": 2, "gpu_memory_utilization": 0.5, "enforce_eager": False,
    }  # fmt: skip
    assert (asked["adapter"], asked["prompts"], asked["seeds"]) == (None, [[1, 2, 3]], [5])
    assert answer.described == {
        "backend": "v",
        "dtype": "bfloat16",
        "tensor_parallel_size": 2,
        "gpu_memory_utilization": 0.5,
    }


def test_a_sampler_of_rollouts_that_fails_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Whether it answers with an error, or dies with one in its log."""
    engine = VllmEngine(tmp_path / "model")
    for lines, said in (
        (("read line", "echo 'ValueError: heads of 16 are not supported'"), "ValueError: heads of 16"),
        (("read line", "echo 'RuntimeError: no memory' >&2", "exit 3"), "RuntimeError: no memory"),
        (("exit 3",), "its process ended with 3"),
    ):
        stand_in(tmp_path, monkeypatch, *lines)
        with (
            VllmRollouts(engine, 3, 4, (1,)) as rollouts,
            pytest.raises(UserError, match=f"could not sample from .*model: {said}"),
        ):
            rollouts.sample([[5, 6]], 2, [1, 2], 1.0)


@pytest.fixture
def vllm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skips where there is no vLLM; on CPUs keeps it small."""
    try:
        check_installed()
    except UserError as missing:
        pytest.skip(str(missing))
    defaults = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": "1"}
    for name, value in defaults.items():
        monkeypatch.setenv(name, os.environ.get(name, value))
    subprocess.run([interpreter(), "--version"], check=True)


def llama(folder: Path) -> Path:
    """A Llama with heads of a size that vLLM's CPU kernels have."""
    tokenizer = family_tokenizer("llama")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=128, intermediate_size=128, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, head_dim=64, max_position_embeddings=128,
        initializer_range=0.2, bos_token_id=0, eos_token_id=1,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def adapter(base: Path, folder: Path) -> Path:
    """A LoRA adapter that changes the model a good deal."""
    torch.manual_seed(1)
    config = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    model = get_peft_model(LlamaForCausalLM.from_pretrained(base), config)
    model.save_pretrained(folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": str(base)}))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["whole", "adapter"])
def test_a_real_engine_samples_from_the_policy_that_transformers_loads(vllm: None, tmp_path: Path, kind: str):
    base = llama(tmp_path / "base")
    folder = base if kind == "whole" else adapter(base, tmp_path / "adapter")
    model = HFModel.load(folder)
    ends = tuple(range(40))  # many, so that some responses end by themselves
    asked = [Request(tuple(model.encode(text)), text, i) for i, text in enumerate(PROMPTS * 8)]
    again = [asked[5], *asked[:3]]
    engine = VllmEngine(folder, settings=VllmSettings(enforce_eager=True))
    answer = engine.sample([*asked, *again], Decoding(max_new_tokens=16), ends)
    samples = answer.sampled
    assert samples[len(asked) :] == (samples[5], *samples[:3])  # a seed's sample, whatever the place

    found = samples[: len(asked)]
    ours = model.token_logps(list(PROMPTS * 8), [one.token_ids for one in found], 8)
    theirs = np.concatenate([one.logps for one in found])
    np.testing.assert_allclose(theirs, np.concatenate(ours), atol=1e-4)
    if kind == "adapter":
        other = model.without_adapter().token_logps(list(PROMPTS * 8), [o.token_ids for o in found], 8)
        assert np.abs(theirs - np.concatenate(other)).mean() > 0.01
    assert {one.finished for one in found} == {True, False}
    assert all(one.finished == (one.token_ids[-1] in ends) for one in found)
    assert all(not set(one.token_ids[:-1]) & set(ends) for one in found)
    assert "vllm" in answer.described["backend"]


@pytest.mark.slow
@pytest.mark.parametrize("lora", [None, Lora(rank=4)], ids=["whole", "adapters"])
def test_a_real_engine_samples_the_policy_of_each_iteration(vllm: None, tmp_path: Path, lora: Lora | None):
    """Its weights are replaced in place: after steps that move the policy far, log-probs still agree."""
    base = llama(tmp_path / "base")
    model = LlamaForCausalLM.from_pretrained(base)
    ends = tuple(range(6))

    def even(_: Any, responses: Any) -> list[float]:
        return [sum(token % 2 == 0 for token in one) / len(one) for one in responses]

    world = World([[5, 6, 7], [8], [9, 10], [11]], even, ends, 12, TokenLayout.of(model))
    settings = TrainingSettings(steps=3, batch_size=32, learning_rate=4e-3, warmup_steps=0, lora=lora)
    engine = VllmEngine(base, settings=VllmSettings(enforce_eager=True))
    with VllmRollouts(engine, 3, 12, ends) as backend:
        fit_online(GRPO(group_size=8), model, world, settings, tmp_path / "out", backend=backend)
    log = read_training_log(tmp_path / "out" / "train_log.jsonl")[1:]
    assert all(row["logp_mismatch_max"] < 1e-3 for row in log)
    assert log[-1]["kl"] > 0.1
