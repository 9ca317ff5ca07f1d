"""Weights of four bits: adapters train on them, and what can't work is refused when planned."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from run_cli import SMALL, invoke, stored
from tiny_models import tiny_tokenizer
from tiny_task import tiny_task
from transformers import LlamaConfig, LlamaForCausalLM

from rpo_bench.models.hf import HFModel
from rpo_bench.spec.sections import LoadingSpec

quantises = pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="bitsandbytes isn't installed")


def wide_decoder(folder: Path) -> Path:
    """bitsandbytes' processor kernels need widths of 64 and more."""
    tokenizer = tiny_tokenizer(append_eos=False)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=128, initializer_range=0.1,
        pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id, bos_token_id=None,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def run(tmp_path: Path, *flags: str):
    task = tiny_task(tmp_path / "tiny")
    model = wide_decoder(tmp_path / "wide")
    return invoke(
        "train-and-eval", "--task", task, "--models", model, "--quantization", "nf4", *SMALL,
        "--toxicity", "none", "--output-path", tmp_path / "out", *flags,
    )  # fmt: skip


@quantises
def test_weights_have_four_bits_and_nearly_the_same_log_probs(tmp_path: Path):
    folder = wide_decoder(tmp_path / "wide")
    plain, small = (HFModel.load(folder, loading=LoadingSpec(quantization=q)) for q in (None, "nf4"))
    matrix = small.model.model.layers[0].mlp.up_proj.weight
    assert matrix.dtype == torch.uint8
    assert matrix.numel() == 64 * 128 / 2
    said = [small.encode("yes good .")]
    ours, theirs = (m.token_logps(["what is the cat ?"], said, 1)[0] for m in (small, plain))
    assert 0 < abs(ours - theirs).max() < 0.5


@quantises
@pytest.mark.parametrize("method", ["dpo", "rpo", "grpo(group_size=4)"])
def test_adapters_train_on_them_and_are_measured_against_them(method: str, tmp_path: Path):
    done = run(tmp_path, "--methods", method, "--strengths", "0.1", "--lora-rank", "4", "--lr", "1e-2")
    assert done.exit_code == 0, done.output
    records = {one.record.spec.strength: one.record for one in stored(tmp_path / "out")}
    assert records[None].point("kl") == 0.0
    trained = next(record for strength, record in records.items() if strength is not None)
    assert trained.point("kl") != 0.0
    assert "--quantization nf4" in trained.command


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--methods", "rpo"), "--quantization nf4 needs adapters"),
        (("--methods", "dro", "--lora-rank", "4"), "dro trains a value network or critic"),
        (("--methods", "ppo", "--lora-rank", "4"), "ppo trains a value network or critic"),
    ],
)
def test_what_cant_be_trained_is_refused(flags, message, tmp_path: Path):
    done = run(tmp_path, *flags)
    assert done.exit_code == 2
    assert message in " ".join(done.stderr.split())


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("rpo_bench.engine.inputs.base_models.find_spec", lambda name: None)
    done = run(tmp_path, "--methods", "rpo", "--lora-rank", "4")
    assert done.exit_code == 2
    assert "bitsandbytes isn't installed: pip install bitsandbytes" in " ".join(done.stderr.split())
