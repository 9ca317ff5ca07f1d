"""Strengths that come to the same checkpoint."""

import numpy as np
import pytest

from rpo_bench.engine.inputs.choices import Choice
from rpo_bench.engine.inputs.strengths import distinct_strengths
from rpo_bench.methods.registry import METHODS, default_method
from rpo_bench.spec.sections import MethodSpec
from trainers.examples import Examples
from trainers.objective import OfflineMethod


def examples(rewards):
    """One list of rewards for each prompt."""
    groups = np.repeat(np.arange(len(rewards)), [len(one) for one in rewards])
    flat = np.concatenate([np.asarray(one, dtype=float) for one in rewards])
    return Examples([[1]] * len(flat), [[2]] * len(flat), flat, groups)


def choice(name, *strengths):
    return Choice(MethodSpec(name=name), default_method(name), tuple(map(float, strengths)))


@pytest.mark.parametrize(
    ("rewards", "given", "kept"),
    [
        ([[1, 2, 3], [1, 2]], (1, 2, 4, 8), (1, 2, 4)),  # 4 and 8 both take the best of all three
        ([[1], [2]], (1, 2, 4), (1,)),  # one response for each prompt
        ([[3, 1, 1, 1], [3, 1, 1, 1]], (1, 2, 4), (1,)),  # the first is the best at any k
        ([[1, 2, 3, 4]], (8, 2, 4), (2, 4)),  # whatever the order
        ([[1, 2]], (16,), (16,)),  # nothing to be the same as
    ],
)
def test_one_checkpoint_is_trained_once(rewards, given, kept):
    found, notes = distinct_strengths(choice("sft", *given), lambda: examples(rewards))
    assert found.strengths == tuple(map(float, kept))
    assert len(notes) == len(given) - len(kept)
    assert all("same checkpoint" in one for one in notes)
    beyond = [k for k in given if k > max(map(len, rewards)) and k not in kept]
    assert sum("no prompt has more than" in one for one in notes) == len(beyond)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_only_strengths_that_choose_rows_are_merged(name):
    """Of every other method the rows say nothing of the loss."""
    method = default_method(name)
    selects = isinstance(method, OfflineMethod) and method.strength_selects
    found, _ = distinct_strengths(choice(name, 1, 2), lambda: examples([[1], [2]]))
    assert len(found.strengths) == (1 if selects else 2)
    assert selects == (name == "sft")
