"""What is shipped for countdown."""

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
from tasks.countdown.expressions import read
from tasks.countdown.problems import KINDS, MAX_NEW_TOKENS, asked, straight_solutions

TASK = load_task("countdown")


@pytest.fixture(scope="module")
def behaviour():
    return sampled(TASK, "decoder", lambda text: read(text) is not None)


def test_sizes():
    assert TASK.spec.max_new_tokens == MAX_NEW_TOKENS
    assert weights_bytes(TASK) <= 600_000
    assert folder_bytes(TASK) < 1_000_000
    assert (
        100_000 <= HFModel.load(TASK.model_folder("decoder"), device="cpu").model.num_parameters() <= 300_000
    )


def test_prompts():
    check_prompts(TASK)
    measured = {(tuple(sorted(asked(p.text).numbers)), asked(p.text).target) for p in TASK.heldout}
    assert len(measured) == 200  # in whatever order: no problem is held out twice


def test_rows():
    check_rows(TASK, "decoder", 8)


def test_the_reference_policy_behaves_as_documented(behaviour):
    """Right in 35 to 60 % of the problems; a fifth of the groups of eight are all right or all wrong."""
    figures = behaviour.figures()
    assert 0.35 < figures["accuracy"] < 0.6
    assert 0.2 < figures["groups of 8 without reward variance"] < 0.5
    assert figures["groups of 8 all right"] > 0.08
    assert figures["groups of 8 all wrong"] > 0.06
    assert figures["readable"] > 0.85
    assert figures["ended by itself"] > 0.99
    check_agreement(TASK, "decoder", behaviour)


def test_brackets_are_harder_than_products_and_those_than_sums(behaviour):
    accuracy = {
        kind: behaviour.verdicts[[p.metadata["kind"] == kind for p in TASK.heldout]].mean() for kind in KINDS
    }
    assert accuracy["sums"] > 0.7 > accuracy["products"] > accuracy["brackets"]
    assert accuracy["brackets"] < 0.25


def test_the_reward_is_found_through_the_task():
    prompt = TASK.heldout[0]
    assert TASK.reward([prompt], [straight_solutions(asked(prompt.text))[0]]) == [1.0]
