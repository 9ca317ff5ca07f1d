"""Flash attention, whose kernels have no float32: trials in bfloat16, and batches without padding."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
import transformers.modeling_flash_attention_utils as flash_attention
from family_models import family
from tiny_training import examples
from torch import Tensor
from transformers import AutoModelForCausalLM

import trainers.row_logps as module
from trainers import DPO, TrainingSettings, fit
from trainers.inputs import TokenLayout
from trainers.layouts import checked_layout
from trainers.row_logps import row_logps
from trainers.training_log import read_training_log

CPU = torch.device("cpu")


def attention(q: Tensor, k: Tensor, v: Tensor, causal: bool = False, softmax_scale: Any = None, **_: Any):
    """What the package flash-attn computes; (B, L, heads, d)."""
    if q.dtype == torch.float32:
        raise RuntimeError("FlashAttention only support fp16 and bf16 data type")
    k, v = (each.repeat_interleave(q.shape[2] // each.shape[2], dim=2) for each in (k, v))
    heads = (each.transpose(1, 2) for each in (q, k, v))
    return F.scaled_dot_product_attention(*heads, is_causal=causal, scale=softmax_scale).transpose(1, 2)


def attention_by_sequence(
    q: Tensor, k: Tensor, v: Tensor, cu_seqlens_q: Tensor, cu_seqlens_k: Tensor, *_: Any, **options: Any
):
    """The same of sequences one after the other; (n, heads, d)."""
    assert torch.equal(cu_seqlens_q, cu_seqlens_k)
    options = {name: options[name] for name in ("causal", "softmax_scale") if name in options}
    parts = [each.split(cu_seqlens_q.diff().tolist()) for each in (q, k, v)]
    found = [attention(*(one[None] for one in part), **options)[0] for part in zip(*parts, strict=True)]
    return torch.cat(found)


@pytest.fixture
def flash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A Llama with transformers' own flash attention, whose kernels are the two functions above."""
    kernels = (
        attention,
        attention_by_sequence,
        None,
        flash_attention._pad_input,
        flash_attention._unpad_input,
    )
    monkeypatch.setattr(flash_attention, "_lazy_imports", lambda *_, **__: kernels)
    monkeypatch.setattr(flash_attention, "_loaded_implementation", None)
    model = AutoModelForCausalLM.from_pretrained(family("llama", tmp_path)).eval()
    plain = AutoModelForCausalLM.from_pretrained(family("llama", tmp_path)).eval()
    model.config._attn_implementation = "flash_attention_2"
    return model, plain


def test_rows_are_one_without_padding(flash, monkeypatch: pytest.MonkeyPatch):
    model, plain = flash
    layout = checked_layout(model, TokenLayout.of(model))
    assert layout.unpadded
    assert not layout.packed  # several rows of several sequences: transformers would take them for whole ones
    rng = np.random.default_rng(0)
    prompts, responses = (
        [rng.integers(4, 30, size=n).tolist() for n in rng.integers(1, 12, size=9)] for _ in range(2)
    )
    widths = []

    def seen(_: Any, arguments: Any, named: Any) -> None:
        widths.append(tuple(named["input_ids"].shape))

    hook = model.register_forward_pre_hook(seen, with_kwargs=True)
    with torch.autocast("cpu", torch.bfloat16):
        found = row_logps(model, prompts, responses, layout, CPU)
    hook.remove()
    assert widths == [(1, sum(map(len, prompts + responses)))]
    expected = row_logps(plain, prompts, responses, checked_layout(plain, TokenLayout.of(plain)), CPU)
    torch.testing.assert_close(found.detach(), expected.detach(), atol=0.3, rtol=0.02)
    mixed = row_logps(plain, prompts, responses[::-1], checked_layout(plain, TokenLayout.of(plain)), CPU)
    assert float((found - mixed).detach().abs().max()) > 3.0  # what a wrong place would give


def test_training_goes_through(flash, tmp_path: Path):
    model, plain = flash
    settings = TrainingSettings(steps=3, batch_size=8, learning_rate=1e-3, dtype="bfloat16")
    losses = []
    for name, one in (("flash", model), ("plain", plain)):
        fit(DPO(), one, examples(), settings, tmp_path / name)
        losses.append([row["loss"] for row in read_training_log(tmp_path / name / "train_log.jsonl")[1:]])
    np.testing.assert_allclose(losses[0], losses[1], rtol=0.05)
    assert losses[0][-1] < losses[0][0]
    assert module.row_logps is row_logps
