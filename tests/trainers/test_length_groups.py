"""Groups of similar length: the cheapest cut of a batch, and the same numbers as of the whole batch."""

import itertools

import numpy as np
import pytest
import torch
from tiny_models import tiny_decoder, tiny_encoder_decoder
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from trainers.inputs import TokenLayout, collate
from trainers.length_groups import length_groups
from trainers.logps import sequence_logps
from trainers.row_logps import row_logps


def price(lengths: np.ndarray, groups: list[np.ndarray], cost: float) -> float:
    return sum(len(rows) * lengths[rows].max() + cost for rows in groups)


def every_cut(count: int):
    for bits in itertools.product([False, True], repeat=count - 1):
        edges = [0, *(i + 1 for i, cut in enumerate(bits) if cut), count]
        yield list(itertools.pairwise(edges))


@pytest.mark.parametrize("cost", [0, 5, 40, 1000])
@pytest.mark.parametrize("most", [None, 3])
def test_no_other_cut_of_the_sorted_rows_is_cheaper(cost, most):
    lengths = np.random.default_rng(cost).integers(2, 60, size=9)
    groups = length_groups(lengths, cost, most)
    order = np.argsort(lengths)
    cuts = [[order[a:b] for a, b in cut] for cut in every_cut(9)]
    allowed = [cut for cut in cuts if most is None or max(map(len, cut)) <= most]
    assert price(lengths, groups, cost) == min(price(lengths, cut, cost) for cut in allowed)


def test_every_row_is_in_one_group():
    groups = length_groups(np.random.default_rng(0).integers(2, 60, size=64), 256)
    assert sorted(np.concatenate(groups).tolist()) == list(range(64))
    assert 1 < len(groups) < 8


def test_equal_rows_and_a_dear_pass_make_one_group():
    assert [len(g) for g in length_groups(np.full(64, 20), 1)] == [64]
    assert [len(g) for g in length_groups(np.arange(1, 65), 10_000)] == [64]
    assert [len(g) for g in length_groups(np.array([7]), 1)] == [1]


@pytest.mark.parametrize("architecture", ["decoder", "encoder-decoder"])
def test_log_probs_and_gradients_are_those_of_the_whole_batch(architecture, tmp_path, monkeypatch):
    monkeypatch.setattr("trainers.row_logps.pass_cost", lambda _: 4)
    rng = np.random.default_rng(0)
    prompts = [rng.integers(4, 30, size=n).tolist() for n in rng.integers(2, 12, size=12)]
    responses = [rng.integers(4, 30, size=n).tolist() for n in rng.integers(1, 20, size=12)]
    make = tiny_decoder if architecture == "decoder" else tiny_encoder_decoder
    kind = AutoModelForCausalLM if architecture == "decoder" else AutoModelForSeq2SeqLM
    model = kind.from_pretrained(make(tmp_path / architecture, scale=5.0)).eval()
    layout = TokenLayout.of(model)
    coefficients = torch.linspace(-1, 1, 12)
    found = []
    for grouped in (False, True):
        model.zero_grad()
        if grouped:
            logps = row_logps(model, prompts, responses, layout, torch.device("cpu"))
        else:
            logps = sequence_logps(model, collate(prompts, responses, layout))
        (coefficients * logps).sum().backward()
        gradients = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
        found.append((logps.detach(), gradients))
    (whole, whole_gradient), (logps, gradient) = found
    torch.testing.assert_close(logps, whole, rtol=1e-4, atol=1e-4)
    assert (gradient - whole_gradient).norm() < 1e-4 * whole_gradient.norm()
