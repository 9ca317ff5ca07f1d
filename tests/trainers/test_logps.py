"""Log-probabilities: the same tokens have the same log-prob however they are batched."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_models import tiny_decoder, tiny_encoder_decoder
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from trainers.errors import UserError
from trainers.inputs import TokenLayout, collate
from trainers.logps import sequence_logps, token_logps, token_logps_and_entropies
from trainers.reference import compute_logps

PROMPTS = [[5, 6, 7, 8], [9], [10, 11]]
RESPONSES = [[12, 1], [13, 14, 15, 16, 1], [17, 18, 1]]
FAMILIES = ["llama", "gpt2", "t5", "bart"]


@pytest.fixture(params=FAMILIES)
def model(request: pytest.FixtureRequest, tmp_path: Path):
    if request.param in ("t5", "bart"):
        folder = tiny_encoder_decoder(tmp_path, kind=request.param, scale=10.0)
        return AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    return AutoModelForCausalLM.from_pretrained(tiny_decoder(tmp_path, kind=request.param, scale=10.0)).eval()


def by_the_definition(model, prompt: list[int], response: list[int]) -> torch.Tensor:
    """One row alone, a full forward, log_softmax, pick."""
    if model.config.is_encoder_decoder:
        start = model.config.decoder_start_token_id
        decoder = torch.tensor([[start, *response[:-1]]])
        logits = model(input_ids=torch.tensor([prompt]), decoder_input_ids=decoder).logits[0]
    else:
        logits = model(input_ids=torch.tensor([prompt + response])).logits[0, len(prompt) - 1 : -1]
    return logits.log_softmax(-1).gather(1, torch.tensor(response)[:, None])[:, 0]


@torch.no_grad()
def test_padded_batches_give_each_rows_own_log_probs(model):
    inputs = collate(PROMPTS, RESPONSES, TokenLayout.of(model))
    found = token_logps(model, inputs)
    assert found.shape == inputs.response_mask.shape == (3, 5)
    for row, (prompt, response) in enumerate(zip(PROMPTS, RESPONSES, strict=True)):
        expected = by_the_definition(model, prompt, response)
        torch.testing.assert_close(found[row, : len(response)], expected, atol=1e-5, rtol=1e-5)
        assert (found[row, len(response) :] == 0).all()


@torch.no_grad()
@pytest.mark.parametrize("equal_lengths", [False, True])
def test_entropies_come_with_the_same_log_probs(model, equal_lengths: bool):
    """H = −Σ p log p over the vocabulary, at the sampling temperature; 0 beyond a response's end."""
    inputs = collate(PROMPTS, RESPONSES, replace(TokenLayout.of(model), equal_lengths=equal_lengths))
    vocabulary = model.config.vocab_size
    logps, entropies = token_logps_and_entropies(model, inputs, temperature=0.7)
    torch.testing.assert_close(logps, token_logps(model, inputs, temperature=0.7), atol=1e-5, rtol=1e-5)
    for row, (prompt, response) in enumerate(zip(PROMPTS, RESPONSES, strict=True)):
        each = [
            [by_the_definition(model, prompt, [*response[:at], token])[-1] for token in range(vocabulary)]
            for at in range(len(response))
        ]
        scaled = (torch.tensor(each) / 0.7).log_softmax(-1)  # of log-probs as of logits
        expected = -(scaled.exp() * scaled).sum(-1)
        torch.testing.assert_close(entropies[row, : len(response)], expected, atol=1e-4, rtol=1e-4)
        assert (entropies[row, len(response) :] == 0).all()


@torch.no_grad()
def test_the_padding_token_does_not_matter(model):
    ids = [collate(PROMPTS, RESPONSES, TokenLayout.of(model, pad_id=pad)) for pad in (0, 9)]
    torch.testing.assert_close(sequence_logps(model, ids[0]), sequence_logps(model, ids[1]))


@torch.no_grad()
def test_long_tables_are_cut_into_batches_in_any_order(model):
    prompts, responses = PROMPTS * 40, RESPONSES * 40
    found = compute_logps(model, prompts, responses, TokenLayout.of(model), "float32")
    once = sequence_logps(model, collate(PROMPTS, RESPONSES, TokenLayout.of(model)))
    torch.testing.assert_close(torch.tensor(found), once.double().repeat(40), atol=1e-4, rtol=1e-5)


def test_gradients_reach_the_model_through_the_kept_logits_only(tmp_path: Path):
    model = AutoModelForCausalLM.from_pretrained(tiny_decoder(tmp_path, scale=10.0))
    sequence_logps(model, collate(PROMPTS, RESPONSES, TokenLayout.of(model))).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_a_decoder_needs_a_first_token():
    with pytest.raises(UserError, match="prompt is empty"):
        collate([[]], [[5, 1]], TokenLayout(0))
