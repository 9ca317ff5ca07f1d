"""A row's numbers don't depend on its batch: one check, for every kind of model.

Models that read their padding get equally long rows; models that mix rows are refused.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hybrid_models import HYBRIDS, hybrid
from tiny_models import BOS, EOS, PAD, SPECIAL, WORDS
from torch import Tensor
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    LlamaConfig,
    LlamaForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from trainers.batch_check import needs_equal_lengths
from trainers.critic import Critic
from trainers.errors import UserError
from trainers.inputs import TokenLayout, collate
from trainers.layouts import checked_critic, checked_layout
from trainers.logps import token_logps
from trainers.value import ValueNetwork

SIZE = len(SPECIAL + WORDS)
IDS = {"vocab_size": SIZE, "pad_token_id": PAD, "eos_token_id": EOS, "bos_token_id": BOS}
PROMPTS = [[5, 6, 7, 8, 9], [10], [11, 12, 13, 14, 15], [16, 17]]
RESPONSES = [[6, 1], [7, 8, 9, 1], [10, 11, 12], [13, 1]]


def decoder() -> Any:
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    return LlamaForCausalLM(LlamaConfig(**IDS, **sizes, initializer_range=0.3))


def encoder_decoder() -> Any:
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2}
    return T5ForConditionalGeneration(T5Config(**IDS, **sizes, decoder_start_token_id=PAD))


def classifier() -> Any:
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    return BertForSequenceClassification(BertConfig(**IDS, **sizes, num_labels=1, initializer_range=0.3))


def blind(model: Any) -> Any:
    """Reads its padding, whatever the attention mask says."""
    return harmed(model, lambda out: out + out.mean(1, keepdim=True))


def mixing(model: Any) -> Any:
    """Centres over the batch, as some layers do that were made for pictures."""
    return harmed(model, lambda out: out - out.mean((0, 1), keepdim=True))


def harmed(model: Any, how: Callable[[Tensor], Tensor]) -> Any:
    for module in model.modules():
        if isinstance(module, torch.nn.Embedding) and module.num_embeddings == SIZE:
            module.register_forward_hook(lambda _module, _input, out: how(out))
    return model


MAKERS: dict[str, Callable[[], Any]] = {
    "decoder": decoder,
    "encoder-decoder": encoder_decoder,
    **{name: lambda name=name: hybrid(name) for name in HYBRIDS},
}


@pytest.fixture(params=MAKERS)
def model(request: pytest.FixtureRequest) -> Any:
    torch.manual_seed(0)
    return MAKERS[request.param]().eval()


@torch.no_grad()
def rows_alone_and_together(model: Any, layout: TokenLayout) -> tuple[list[Tensor], list[Tensor]]:
    together = token_logps(model, collate(PROMPTS, RESPONSES, layout))
    alone = [
        token_logps(model, collate([p], [r], layout))[0] for p, r in zip(PROMPTS, RESPONSES, strict=True)
    ]
    return [together[i, : len(r)] for i, r in enumerate(RESPONSES)], alone


def close(found: list[Tensor], expected: list[Tensor]) -> bool:
    return all(torch.allclose(f, e, atol=1e-3, rtol=1e-3) for f, e in zip(found, expected, strict=True))


def test_policies_that_mask_their_padding_share_batches(model: Any):
    layout = TokenLayout.of(model)
    assert not checked_layout(model, layout).equal_lengths
    assert close(*rows_alone_and_together(model, layout))


def test_policies_that_read_their_padding_get_equally_long_rows(model: Any):
    model, layout = blind(model), TokenLayout.of(model)
    assert not close(*rows_alone_and_together(model, layout))
    checked = checked_layout(model, layout)
    assert checked.equal_lengths
    assert close(*rows_alone_and_together(model, checked))


def test_policies_that_mix_rows_are_refused(model: Any):
    with pytest.raises(UserError, match=r"some/model: .* mix the rows of a batch"):
        checked_layout(mixing(model), TokenLayout.of(model), "some/model")


@torch.no_grad()
def test_gradients_and_values_are_the_same_in_equally_long_batches(model: Any):
    """With a model that needs none of it, so that both ways must agree."""
    layout = TokenLayout.of(model)
    apart = TokenLayout(layout.pad_id, layout.decoder_start_id, equal_lengths=True)
    critic, value = Critic(model), ValueNetwork(model)
    for head in (critic.head, value.head):
        torch.nn.init.normal_(head.weight)
    for compute in (lambda inputs: token_logps(model, inputs, 0.7), critic):
        padded, split = (compute(collate(PROMPTS, RESPONSES, one)) for one in (layout, apart))
        torch.testing.assert_close(split, padded, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(value(PROMPTS, apart), value(PROMPTS, layout), atol=1e-3, rtol=1e-3)


@torch.no_grad()
def test_critics_are_checked_by_themselves_whatever_their_head(model: Any):
    layout = TokenLayout.of(model)
    assert not checked_critic(Critic(model), layout).equal_lengths
    found = checked_critic(Critic(blind(model)), layout)
    assert found.equal_lengths
    torch.nn.init.normal_(found.head.weight)
    together = found(collate(PROMPTS, RESPONSES, layout))
    for row, (prompt, response) in enumerate(zip(PROMPTS, RESPONSES, strict=True)):
        alone = found(collate([prompt], [response], layout))[0]
        torch.testing.assert_close(together[row, : len(response)], alone, atol=1e-3, rtol=1e-3)
    with pytest.raises(UserError, match=r"The critic: .* mix the rows"):
        checked_critic(Critic(mixing(model)), layout)


@pytest.mark.parametrize(("harm", "expected"), [(lambda m: m, False), (blind, True), (mixing, None)])
def test_the_check_is_the_same_for_classifiers(harm: Callable[[Any], Any], expected: bool | None):
    """What a reward model and a toxicity classifier are; None: refused."""
    torch.manual_seed(0)
    model = harm(classifier().eval())
    rows = [[5, 6, 7, 8], [9, 10], [11, 12, 13, 14]]

    def scores(part: Any) -> list[Tensor]:
        width = max(map(len, part))
        ids = torch.tensor([[*row, *[PAD] * (width - len(row))] for row in part])
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in part])
        return list(model(input_ids=ids, attention_mask=mask).logits)

    if expected is None:
        with pytest.raises(UserError, match="of a batch"):
            needs_equal_lengths(scores, rows, [4, 2, 4], "x")
    else:
        assert needs_equal_lengths(scores, rows, [4, 2, 4], "x") is expected
