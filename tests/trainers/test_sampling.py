"""Sampling in training: the right distribution, the right log-probs, whatever finishes first."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import tiny_decoder, tiny_encoder_decoder
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from trainers.inputs import TokenLayout, collate
from trainers.logps import token_logps
from trainers.sampling import inverse_cdf, sample
from trainers.stepping import Way, started

PROMPTS = [[5, 6, 7, 8], [9], [10, 11]]
EOS = 1


@pytest.fixture(params=["llama", "gpt2", "t5", "bart"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param in ("t5", "bart"):
        folder = tiny_encoder_decoder(tmp_path, kind=request.param, scale=1.0)
        return AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    return AutoModelForCausalLM.from_pretrained(tiny_decoder(tmp_path, kind=request.param, scale=5.0)).eval()


def draw(model: Any, count: int, limit: int = 24, temperature: float = 1.0, seed: int = 0, end: int = EOS):
    uniforms = torch.as_tensor(np.random.default_rng(seed).random((len(PROMPTS) * count, limit)))
    return sample(model, PROMPTS, count, TokenLayout.of(model), end, uniforms, temperature)


@torch.no_grad()
@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_log_probs_are_those_of_a_full_forward_pass(model: Any, temperature: float):
    """Caches, left padding and dropped rows leave no trace in the numbers."""
    endless = draw(model, 8, temperature=temperature, end=-1)
    found = draw(model, 8, temperature=temperature, end=endless.responses[3][2])
    assert len(found.responses[3]) <= 3, "some rows are dropped early, whatever the weights"
    prompts = [prompt for prompt in PROMPTS for _ in range(8)]
    inputs = collate(prompts, found.responses, TokenLayout.of(model))
    expected = token_logps(model, inputs, temperature)
    for row, logps in enumerate(found.logps):
        torch.testing.assert_close(logps, expected[row, : len(logps)], atol=1e-4, rtol=1e-4)


def test_responses_end_at_the_first_end_of_sequence_or_at_the_limit(model: Any):
    found = draw(model, 8)
    for response, finished in zip(found.responses, found.finished, strict=True):
        assert EOS not in response[:-1]
        assert finished == (response[-1] == EOS)
        assert finished or len(response) == 24


def test_the_same_numbers_give_the_same_samples(model: Any):
    assert draw(model, 4).responses == draw(model, 4).responses
    assert draw(model, 4, seed=1).responses != draw(model, 4).responses


@torch.no_grad()
def test_first_tokens_follow_the_models_distribution(model: Any):
    """Chi-square over the 40 words with 6,000 draws: 39 degrees of freedom, 99.99 % below 83."""
    found = sample(
        model,
        [PROMPTS[0]],
        6000,
        TokenLayout.of(model),
        EOS,
        torch.as_tensor(np.random.default_rng(0).random((6000, 1))),
    )
    counts = np.bincount([response[0] for response in found.responses], minlength=model.config.vocab_size)
    words = torch.arange(model.config.vocab_size)[:, None].tolist()
    inputs = collate([PROMPTS[0]] * len(words), words, TokenLayout.of(model))
    expected = 6000 * token_logps(model, inputs)[:, 0].exp().numpy()
    assert ((counts - expected) ** 2 / expected).sum() < 83


def test_inverse_cdf_by_hand():
    """Probabilities ¼, ½, ¼: 0.1 → 0, 0.3 → 1, 0.74 → 1, 0.76 → 2; 1 − 1e-12 stays inside."""
    logs = torch.tensor([0.25, 0.5, 0.25]).log().expand(5, 3)
    uniforms = torch.tensor([0.1, 0.3, 0.74, 0.76, 1 - 1e-12], dtype=torch.float64)
    assert inverse_cdf(logs, uniforms).tolist() == [0, 1, 1, 2, 2]


@torch.no_grad()
def test_reading_the_prompts_computes_the_last_logits_alone(tmp_path: Path):
    model = AutoModelForCausalLM.from_pretrained(tiny_decoder(tmp_path)).eval()
    seen: list[int] = []
    model.get_output_embeddings().register_forward_hook(lambda _, __, out: seen.append(out.shape[1]))
    started(model, PROMPTS, 2, TokenLayout.of(model), Way())
    assert seen == [1]
