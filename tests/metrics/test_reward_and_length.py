"""A reward that fails is a reason, not a zero; a function that breaks its promise is named."""

import numpy as np
import pytest

from rpo_bench.errors import UserError
from rpo_bench.metrics.length import Finished, Length, Repetition
from rpo_bench.metrics.protocol import Unscored
from rpo_bench.metrics.reward import Reward


def owners(prompts, samples):
    known = {prompt.prompt_id: prompt for prompt in prompts}
    return [known[sample.prompt_id] for sample in samples]


def test_a_function_gets_the_prompt_of_each_sample(build, prompts):
    samples = build([["a", "bb"], ["ccc"]])

    def reward(asked, responses):
        return [
            len(text) + 10 * int(prompt.prompt_id[1:]) for prompt, text in zip(asked, responses, strict=True)
        ]

    metric = Reward(reward)
    assert metric.score(owners(prompts, samples), samples) == [1.0, 2.0, 13.0]
    assert metric.higher_is_better
    assert "reward" in metric.backend
    assert "test_reward_and_length.py" in metric.backend


def test_none_nan_and_text_are_unscored_with_the_reason(build, prompts):
    samples = build([["a", "b", "c", "d", "e"]])
    metric = Reward(lambda p, r: [None, float("nan"), "high", np.float32(0.5), float("inf")], backend="mine")
    assert metric.score(owners(prompts, samples), samples) == [
        Unscored("mine returned None"),
        Unscored("mine returned nan"),
        Unscored("mine returned str, not a number"),
        0.5,
        Unscored("mine returned inf"),
    ]


def test_one_response_that_raises_does_not_take_the_others_with_it(build, prompts):
    def picky(asked, responses):
        return [1 / len(text) for text in responses]

    samples = build([["ab", "", "abcd"]])
    found = Reward(picky, backend="picky").score(owners(prompts, samples), samples)
    assert found == [0.5, Unscored("picky raised ZeroDivisionError: division by zero"), 0.25]


def test_a_function_that_is_out_of_order_is_not_called_for_every_sample(build, prompts):
    calls = []

    def broken(asked, responses):
        calls.append(len(responses))
        raise ConnectionError("no server")

    samples = build([["a"] * 50])
    found = Reward(broken, backend="remote").score(owners(prompts, samples), samples)
    assert found == [Unscored("remote raised ConnectionError: no server")] * 50
    assert calls == [50, 1, 1, 1, 1, 1]


@pytest.mark.parametrize(("value", "match"), [([1.0], "mine returned 1 scores for 2"), (3.0, "not float")])
def test_a_wrong_shape_is_an_error_that_names_the_function(build, prompts, value, match):
    samples = build([["a", "b"]])
    with pytest.raises(UserError, match=match):
        Reward(lambda p, r: value, backend="mine").score(owners(prompts, samples), samples)


def test_length_counts_tokens_and_finished_counts_ends(build):
    samples = build([["a b c"]]) + build([["a"]], finished=False)
    assert Length().score([], samples) == [4.0, 2.0]
    assert Finished().score([], samples) == [1.0, 0.0]


def test_repetition_by_hand(build):
    """ "a b c a b c a b": trigrams abc bca cab abc bca cab, 3 kinds of 6; two words have none."""
    samples = build([["a b c a b c a b", "a b c d", "a b"]])
    assert Repetition().score([], samples) == [0.5, 0.0, Unscored("fewer than 3 words")]
