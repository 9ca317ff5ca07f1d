"""Several sequences in a row: each has the log-probs and gradients that it has alone."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from family_models import DECODERS, family
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, BloomConfig, BloomForCausalLM

from trainers.critic import Critic
from trainers.groups import Group
from trainers.inputs import TokenLayout, collate
from trainers.layouts import checked_critic, checked_layout, keeps_apart
from trainers.logps import token_logps
from trainers.packing import packed_inputs, packed_logps, packed_rows, packing
from trainers.passes import Passes
from trainers.row_logps import row_logps
from trainers.shared_rows import shared_logps_and_entropies, shared_rows, shared_token_logps

CPU = torch.device("cpu")


def sharp(model):
    """With weights so large that attending to a wrong token shows."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3.0)
    return model.eval()


def sequences(count: int, seed: int) -> tuple[list[list[int]], list[list[int]]]:
    rng = np.random.default_rng(seed)
    prompts = [rng.integers(4, 30, size=n).tolist() for n in rng.integers(1, 9, size=count)]
    responses = [rng.integers(4, 30, size=n).tolist() for n in rng.integers(1, 14, size=count)]
    return prompts, responses


@pytest.mark.parametrize("sides", [1, 2])
def test_every_sequence_has_its_place_and_no_row_is_too_long(sides):
    rng = np.random.default_rng(0)
    for _ in range(50):
        lengths = rng.integers(1, 40, size=(rng.integers(1, 60), sides))
        widths = lengths.max(axis=0)
        rows = packed_rows(lengths, widths.tolist())
        assert sorted(place for row in rows for place in row) == list(range(len(lengths)))
        assert all((lengths[row].sum(axis=0) <= widths).all() for row in rows)
        half_empty = [row for row in rows if (lengths[row].sum(axis=0) * 2 <= widths).all()]
        assert len(half_empty) <= 1, "two half-empty rows would be one"


def test_by_hand():
    assert packed_rows(np.array([[3], [5], [2], [1], [4]]), [5]) == [[1], [4, 3], [0, 2]]
    assert packed_rows(np.array([[3, 1], [2, 2], [1, 1]]), [4, 3]) == [[0, 2], [1]]


@pytest.mark.parametrize("kind", [*DECODERS, "t5"])
def test_log_probs_and_gradients_are_those_of_rows_alone(kind, tmp_path: Path):
    loader = AutoModelForSeq2SeqLM if kind == "t5" else AutoModelForCausalLM
    model = sharp(loader.from_pretrained(family(kind, tmp_path)))
    layout = checked_layout(model, TokenLayout.of(model))
    assert layout.packed
    prompts, responses = sequences(14, seed=1)
    weight = torch.linspace(-1, 1, 14)[:, None]
    found = []
    for packed in (False, True):
        model.zero_grad()
        if packed:
            read, said = (np.array([len(row) for row in rows]) for rows in (prompts, responses))
            chosen = packing(read, said, layout)
            assert len(chosen.rows) < 14
            logps = packed_logps(model, packed_inputs(model, prompts, responses, chosen, layout, CPU))
        else:
            logps = token_logps(model, collate(prompts, responses, layout))
        (weight * logps).sum().backward()
        gradient = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
        found.append((logps.detach(), gradient))
    (alone, expected), (together, gradient) = found
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)
    assert (gradient - expected).norm() < 1e-4 * expected.norm()


def test_rows_are_packed_where_that_costs_less(tmp_path: Path, monkeypatch):
    model = sharp(AutoModelForCausalLM.from_pretrained(family("llama", tmp_path)))
    layout = checked_layout(model, TokenLayout.of(model))
    widths: list[tuple[int, ...]] = []
    model.base_model.register_forward_pre_hook(
        lambda _, __, given: widths.append(tuple(given["input_ids"].shape)), with_kwargs=True
    )
    monkeypatch.setattr("trainers.row_logps.pass_cost", lambda _: 10**6)  # one pass

    def computed(lengths: list[int]) -> tuple[int, ...]:
        widths.clear()
        row_logps(model, [[5]] * len(lengths), [[7] * (n - 1) for n in lengths], layout, CPU)
        assert len(widths) == 1
        return widths[0]

    assert computed([6] * 8) == (8, 6), "nothing to gain"
    assert computed([12, *[4] * 9]) == (4, 12), "the first alone, three in each other row"


def batch_of(prompts, responses, layout, sharing: bool = True):
    """As the online engine collates it."""
    return dataclasses.replace(collate(prompts, responses, layout), sharing=layout if sharing else None)


@pytest.mark.parametrize("kind", ["llama", "gpt2", "t5"])
def test_rollouts_that_share_rows_have_the_numbers_of_rows_alone(kind, tmp_path: Path):
    """Log-probs, entropies and a critic's values, at the width of the whole iteration, with gradients."""
    loader = AutoModelForSeq2SeqLM if kind == "t5" else AutoModelForCausalLM
    model = sharp(loader.from_pretrained(family(kind, tmp_path)))
    layout = checked_layout(model, TokenLayout.of(model))
    critic = checked_critic(Critic(model), layout)
    assert critic.shares_rows
    nn.init.normal_(critic.head.weight)
    prompts, responses = sequences(14, seed=2)
    longest = max(range(14), key=lambda i: len(responses[i]))
    rows = torch.tensor([i for i in range(14) if i != longest])  # a part of the batch, narrower than it
    found = []
    for sharing in (False, True):
        inputs = Passes(batch_of(prompts, responses, layout, sharing), "float32", 1, 1).select(rows)
        assert (shared_rows(model, inputs) is not None) == sharing
        logps, entropies = shared_logps_and_entropies(model, inputs, temperature=0.7)
        torch.testing.assert_close(shared_token_logps(model, inputs, temperature=0.7), logps)
        values = critic(inputs)
        for parameter in [*model.parameters(), *critic.parameters()]:
            parameter.grad = None
        (torch.linspace(-1, 1, 13)[:, None] * (logps + 0.1 * entropies + values)).sum().backward()
        gradients = [
            p.grad.flatten() for p in [*model.parameters(), *critic.parameters()] if p.grad is not None
        ]
        found.append((torch.stack([logps, entropies, values]).detach(), torch.cat(gradients)))
    (alone, expected), (together, gradient) = found
    assert alone.shape == together.shape == (3, 13, len(responses[longest]))
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)
    assert (gradient - expected).norm() < 1e-4 * expected.norm()


def test_a_batch_without_padding_has_nothing_to_share(tmp_path: Path):
    model = sharp(AutoModelForCausalLM.from_pretrained(family("llama", tmp_path)))
    layout = checked_layout(model, TokenLayout.of(model))
    assert shared_rows(model, batch_of([[5, 6]] * 8, [[7, 8, 9]] * 8, layout)) is None


@pytest.mark.parametrize("kind", ["llama", "t5"])
def test_a_batch_gives_back_its_sequences(kind, tmp_path: Path):
    loader = AutoModelForSeq2SeqLM if kind == "t5" else AutoModelForCausalLM
    model = loader.from_pretrained(family(kind, tmp_path))
    prompts, responses = sequences(9, seed=3)
    for beginning in ((), (7, 9)) if kind == "t5" else ((),):
        layout = dataclasses.replace(TokenLayout.of(model), beginning=beginning)
        assert collate(prompts, responses, layout).sequences() == (prompts, responses)


@pytest.mark.parametrize(("dtype", "shares"), [("float32", True), ("bfloat16", False)])
def test_rollouts_share_rows_where_rounding_does_not_move_the_ratio(dtype, shares, tmp_path: Path):
    """In bfloat16 the pass that scores a rollout and the one that trains on it must round alike."""
    model = sharp(AutoModelForCausalLM.from_pretrained(family("llama", tmp_path)))
    layout = checked_layout(model, TokenLayout.of(model))
    group = Group([5, 6], [[7, 1], [8, 9, 1]], [0.0, 1.0], [torch.zeros(2), torch.zeros(3)], [True] * 2, 0)
    passes = Passes.of([group], layout, CPU, dtype, 1)
    assert (passes.inputs.sharing is not None) == shares


class Leaky(nn.Module):
    """Counts positions as it should, and adds what came before in the row, whosever that is."""

    config = type("Config", (), {"is_encoder_decoder": False})()

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(40, 8)
        self.head = nn.Linear(8, 40)

    def get_input_embeddings(self) -> nn.Module:
        return self.embed

    def get_output_embeddings(self) -> nn.Module:
        return self.head

    def forward(self, input_ids: Tensor, use_cache: bool, attention_mask=None, position_ids=None):
        hidden = self.embed(input_ids).cumsum(dim=1)
        return type("Out", (), {"logits": self.head(hidden)})()


class Strict(Leaky):
    """Knows nothing of positions."""

    def forward(self, input_ids: Tensor, use_cache: bool, attention_mask=None):
        return super().forward(input_ids, use_cache)


def test_a_critic_whose_body_carries_a_state_over_reads_each_row_alone(tmp_path: Path):
    """Whatever the policy's layout allows."""
    model = sharp(AutoModelForCausalLM.from_pretrained(family("llama", tmp_path)))
    critic = Critic(model)
    inner = critic.body.model.layers[0].register_forward_hook(lambda _, __, hidden: hidden.cumsum(dim=1))
    layout = checked_layout(model, TokenLayout.of(model))
    assert layout.packed
    assert not checked_critic(critic, layout).shares_rows
    inner.remove()
    assert checked_critic(critic, layout).shares_rows


@pytest.mark.parametrize("kind", [Leaky, Strict])
def test_a_model_that_carries_a_state_over_is_not_packed(kind):
    torch.manual_seed(0)
    assert not keeps_apart(kind().eval(), TokenLayout(0))


def test_models_that_count_positions_by_themselves_are_not_packed(tmp_path: Path):
    torch.manual_seed(0)
    shape = {"vocab_size": 40, "hidden_size": 16, "n_layer": 2, "n_head": 2, "initializer_range": 0.5}
    bloom = sharp(BloomForCausalLM(BloomConfig(**shape, pad_token_id=0)))
    assert not checked_layout(bloom, TokenLayout.of(bloom)).packed
    bart = sharp(AutoModelForSeq2SeqLM.from_pretrained(family("bart", tmp_path)))
    assert not checked_layout(bart, TokenLayout.of(bart)).packed


def test_what_decoder_inputs_begin_with_is_no_part_of_the_response(tmp_path: Path):
    """As a language's code."""
    t5 = sharp(AutoModelForSeq2SeqLM.from_pretrained(family("t5", tmp_path)))
    layout = dataclasses.replace(TokenLayout.of(t5), beginning=(7, 9))
    assert keeps_apart(t5, layout)


def test_adapters_change_nothing_of_it(tmp_path: Path):
    from peft import LoraConfig, get_peft_model

    model = AutoModelForCausalLM.from_pretrained(family("qwen2", tmp_path))
    lora = LoraConfig(target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    assert keeps_apart(sharp(get_peft_model(model, lora)), TokenLayout(0))
