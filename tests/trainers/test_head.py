"""Logits at chosen positions: those of all positions, picked, for every family, with its gradients."""

import dataclasses
from pathlib import Path

import pytest
import torch
from family_models import FAMILIES, family
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    BartForConditionalGeneration,
    CohereConfig,
    CohereForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
)

from trainers import head
from trainers.head import logits_at
from trainers.inputs import TokenLayout, collate
from trainers.layouts import checked_layout
from trainers.logps import kept_logits, sequence_logps, token_logps, token_logps_and_entropies
from trainers.shared_rows import shared_logps_and_entropies, shared_rows

PROMPTS = [[5, 6, 7, 8], [9], [10, 11]]
RESPONSES = [[12, 1], [13, 14, 15, 16, 1], [17, 18, 1]]
SHAPE = {
    "vocab_size": 40,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "pad_token_id": 0,
}
#: Models that change their logits after the head.
CHANGING = {
    "capped": lambda: Gemma2ForCausalLM(
        Gemma2Config(**SHAPE, head_dim=8, final_logit_softcapping=1.0, initializer_range=0.5)
    ),
    "scaled": lambda: CohereForCausalLM(CohereConfig(**SHAPE, logit_scale=0.25, initializer_range=0.5)),
}


@pytest.fixture(params=[*FAMILIES, *CHANGING])
def model(request: pytest.FixtureRequest, tmp_path: Path):
    torch.manual_seed(0)
    if request.param in CHANGING:
        return CHANGING[request.param]().eval()
    kind = AutoModelForSeq2SeqLM if request.param in ("t5", "bart") else AutoModelForCausalLM
    found = kind.from_pretrained(family(request.param, tmp_path)).eval()
    with torch.no_grad():  # far from the uniform distribution, where most errors wouldn't show
        for parameter in found.parameters():
            parameter.mul_(3.0)
    return found


def plain(model, inputs) -> Tensor:
    """The same log-probs from the logits of all positions; (B, T)."""
    logps = kept_logits(model, inputs).log_softmax(-1)
    labels = inputs.labels.clamp(min=0)[..., None]
    every = logps.gather(-1, labels)[..., 0].masked_fill(inputs.labels < 0, 0.0)  # (B, L)
    rows = [every[b, int(start) :] for b, start in enumerate(inputs.offsets)]
    width = inputs.response_mask.shape[1]
    return torch.stack([nn.functional.pad(row, (0, width))[:width] for row in rows]) * inputs.response_mask


def gradient(model, total: Tensor) -> Tensor:
    model.zero_grad()
    total.backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def assert_same(model, layout: TokenLayout | None = None) -> None:
    inputs = collate(PROMPTS, RESPONSES, layout or TokenLayout.of(model))
    weight = torch.linspace(0.5, 1.5, 3)[:, None]  # so that rows can't be mixed up unseen
    expected = plain(model, inputs)
    found = token_logps(model, inputs)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    theirs = gradient(model, (expected * weight).sum())
    ours = gradient(model, (found * weight).sum())
    assert (ours - theirs).norm() < 1e-4 * theirs.norm()


def test_log_probs_and_gradients_are_those_of_all_logits(model):
    assert_same(model)


def test_with_adapters_too_also_on_the_head(tmp_path: Path):
    model = AutoModelForCausalLM.from_pretrained(family("llama", tmp_path))
    name = next(name for name, part in model.named_modules() if part is model.get_output_embeddings())
    adapted = get_peft_model(model, LoraConfig(target_modules=["q_proj", name], init_lora_weights=False))
    assert_same(adapted.eval())


@pytest.fixture
def two_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of two tokens of these models' vocabularies."""
    monkeypatch.setattr(head, "_rows", lambda own, device: 2)


def test_a_chunk_at_a_time_they_are_the_same(model, two_at_once):
    layout = checked_layout(model, TokenLayout.of(model))
    changing = (Gemma2ForCausalLM, CohereForCausalLM, BartForConditionalGeneration)  # BART adds a bias
    assert layout.plain_head == (type(model) not in changing)
    assert_same(model, layout)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_entropies_and_packed_rows_too(tmp_path: Path, two_at_once, temperature):
    model = AutoModelForCausalLM.from_pretrained(family("llama", tmp_path)).eval()
    layout = checked_layout(model, TokenLayout.of(model))
    prompts = [PROMPTS[0] * 4, *PROMPTS[1:]]  # so that the two others share a row
    whole = collate(prompts, RESPONSES, dataclasses.replace(layout, plain_head=False))
    chunks = collate(prompts, RESPONSES, layout)
    shared = dataclasses.replace(chunks, sharing=layout)
    assert shared_rows(model, shared) is not None
    for found in (
        token_logps_and_entropies(model, chunks, temperature),
        shared_logps_and_entropies(model, shared, temperature),
    ):
        for ours, theirs in zip(found, token_logps_and_entropies(model, whole, temperature), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_a_chunk_at_a_time_with_adapters_on_the_head(tmp_path: Path, two_at_once):
    model = AutoModelForCausalLM.from_pretrained(family("llama", tmp_path))
    layout = checked_layout(model, TokenLayout.of(model))
    name = next(name for name, part in model.named_modules() if part is model.get_output_embeddings())
    adapted = get_peft_model(model, LoraConfig(target_modules=["q_proj", name], init_lora_weights=False))
    assert_same(adapted.eval(), layout)


@torch.no_grad()
def test_no_more_logits_exist_than_a_chunk(tmp_path: Path, two_at_once):
    model = AutoModelForCausalLM.from_pretrained(family("llama", tmp_path)).eval()
    layout, seen = checked_layout(model, TokenLayout.of(model)), []
    own = model.get_output_embeddings().forward
    model.get_output_embeddings().forward = lambda hidden: seen.append(len(hidden)) or own(hidden)
    sequence_logps(model, collate(PROMPTS, RESPONSES, layout))
    assert seen == [2, 2, 2, 2, 2]
    assert "forward" in vars(model.get_output_embeddings()), "what stood there is put back"


def test_entropies_of_every_family(model, two_at_once):
    layout = checked_layout(model, TokenLayout.of(model))
    whole = collate(PROMPTS, RESPONSES, dataclasses.replace(layout, plain_head=False))
    found = token_logps_and_entropies(model, collate(PROMPTS, RESPONSES, layout))
    for ours, theirs in zip(found, token_logps_and_entropies(model, whole), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_the_head_sees_response_tokens_alone(tmp_path: Path):
    model = AutoModelForCausalLM.from_pretrained(family("llama", tmp_path)).eval()
    seen: list[int] = []
    model.get_output_embeddings().register_forward_hook(lambda _, __, out: seen.append(out[..., 0].numel()))
    sequence_logps(model, collate(PROMPTS, RESPONSES, TokenLayout.of(model)))
    assert seen == [sum(map(len, RESPONSES))]
    assert len(model.get_output_embeddings()._forward_pre_hooks) == 0, "nothing stays behind"


class Headless(nn.Module):
    """A model that makes its logits without a head of its own, from the embeddings' weights."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, 8)

    def forward(self, input_ids: Tensor, use_cache: bool):
        out = type("Out", (), {})()
        out.logits = self.embed(input_ids) @ self.embed.weight.T
        return out


class Twice(Headless):
    """A model whose head is used for something else first."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(8, 20)

    def get_output_embeddings(self) -> nn.Module:
        return self.head

    def forward(self, input_ids: Tensor, use_cache: bool):
        out = super().forward(input_ids, use_cache)
        self.head(self.embed(input_ids))
        out.logits = self.head(self.embed(input_ids)).tanh()
        return out


@pytest.mark.parametrize("kind", [Headless, Twice])
def test_other_models_compute_all_logits(kind):
    torch.manual_seed(0)
    model = kind()
    ids = torch.arange(12).view(3, 4)
    every = model(ids, use_cache=False).logits
    places, columns = torch.tensor([0, 3, 5]), torch.tensor([1, 2])
    found = logits_at(model, {"input_ids": ids}, places, columns)
    torch.testing.assert_close(found, every[:, columns].flatten(0, 1)[places])
