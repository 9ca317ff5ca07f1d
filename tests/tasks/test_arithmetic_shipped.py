"""What is shipped for arithmetic."""

import pytest
from verifiable_checks import (
    check_agreement,
    check_prompts,
    check_rows,
    folder_bytes,
    sampled,
    weights_bytes,
)

from rpo_bench.models.hf import HFModel
from rpo_bench.tasks.task import load_task
from tasks.arithmetic.sums import MAX_NEW_TOKENS, Sum, asked, read

TASK = load_task("arithmetic")
MODELS = ("decoder", "encoder-decoder")


@pytest.fixture(scope="module", params=MODELS)
def behaviour(request):
    return request.param, sampled(TASK, request.param, lambda text: read(text) is not None)


def test_sizes():
    assert tuple(TASK.spec.models) == MODELS
    assert TASK.spec.max_new_tokens == MAX_NEW_TOKENS
    assert weights_bytes(TASK) <= 600_000
    assert folder_bytes(TASK) < 1_000_000
    for name in MODELS:
        assert HFModel.load(TASK.model_folder(name), device="cpu").architecture == name


def test_prompts():
    check_prompts(TASK)
    measured = {frozenset((asked(p.text).first, asked(p.text).second)) for p in TASK.heldout}
    assert len(measured) == 200  # no sum is held out both ways round


@pytest.mark.parametrize("name", MODELS)
def test_rows(name):
    check_rows(TASK, name, 8)


def test_the_reference_policies_behave_as_documented(behaviour):
    """Right in 40 to 60 % of the sums; a good fifth of the groups of eight are all right or all wrong."""
    name, found = behaviour
    figures = found.figures()
    assert 0.4 < figures["accuracy"] < 0.6
    assert 0.2 < figures["groups of 8 without reward variance"] < 0.5
    assert figures["groups of 8 all right"] > 0.1
    assert figures["groups of 8 all wrong"] > 0.03
    assert figures["ended by itself"] > 0.99
    check_agreement(TASK, name, found)


def test_carries_are_what_is_hard(behaviour):
    _, found = behaviour
    accuracy = {
        carries: found.verdicts[[p.metadata["carries"] == carries for p in TASK.heldout]].mean()
        for carries in ("none", "ones", "tens", "both")
    }
    assert accuracy["none"] > 0.9 > accuracy["tens"] > accuracy["ones"] > accuracy["both"]
    assert accuracy["both"] < 0.25


def test_the_reward_is_found_through_the_task():
    prompt = TASK.heldout[0]
    problem = asked(prompt.text)
    assert isinstance(problem, Sum)
    assert TASK.reward([prompt], [str(problem.value)[::-1]]) == [1.0]
