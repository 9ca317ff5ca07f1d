"""A reward function is tried before anything is trained; what it can't do is one sentence."""

import pytest

from rpo_bench.data.row import Prompt
from rpo_bench.engine.inputs.reward_trial import TRIAL, try_reward
from rpo_bench.errors import UserError

PROMPTS = [Prompt(prompt_id=f"p{n}", text=f"What is {n}?") for n in range(3)]
WHAT = "--train-reward python:r.py:score"


def test_a_function_that_scores_is_let_through_and_asked_once():
    asked = []

    def score(prompts, responses):
        asked.append((len(prompts), list(responses)))
        return [1, None]

    try_reward(score, WHAT, PROMPTS)
    assert asked == [(2, [TRIAL, TRIAL])]


def boom(prompts, responses):
    raise KeyError("gold")


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (boom, r"r\.py:score was tried on 2 answers and raised KeyError: 'gold'\."),
        (lambda p, r: [1.0], "tried on 2 answers and returned 1 scores"),
        (lambda p, r: [1.0, float("nan")], "returned nan: return a finite number"),
        (lambda p, r: ["good", 1.0], "returned 'good': return a finite number"),
        (lambda p, r: 3.0, "raised TypeError: 'float' object is not iterable"),
    ],
)
def test_one_that_does_not_is_refused_by_what_it_did(function, said):
    with pytest.raises(UserError, match=said):
        try_reward(function, WHAT, PROMPTS)
