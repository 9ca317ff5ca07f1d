"""Converters: hand-worked labels, pairs, groups and prompts."""

import numpy as np
import pytest

from rpo_bench.data.convert import desirable_labels, group_ids, labels_in, prompts_of, rewards_of
from rpo_bench.data.row import Row
from rpo_bench.metrics.references import references_of


def row(prompt, reward, response="x", **more):
    return Row(prompt=prompt, response=response, reward=reward, prompt_id=prompt.lower(), **more)


ROWS = [row("A", 1.0), row("B", 5.0), row("A", 3.0), row("C", 5.0), row("A", 2.0), row("B", 5.0)]


def test_groups_are_numbered_by_first_appearance():
    assert group_ids(ROWS).tolist() == [0, 1, 0, 2, 0, 1]
    assert group_ids(ROWS).dtype == np.int64


class TestLabels:
    """Rewards A: 1, 3, 2 (mean 2); B: 5, 5; C: 5 alone; the mean of all is 21/6 = 3.5."""

    rewards, groups = rewards_of(ROWS), group_ids(ROWS)

    def test_by_the_prompts_mean(self):
        """Only A's 3 is above A's 2. B and C have no spread: there 5 > 3.5 decides."""
        labels = desirable_labels(self.rewards, self.groups, "prompt_mean")
        assert labels.tolist() == [False, True, True, True, False, True]

    def test_by_the_global_mean(self):
        labels = desirable_labels(self.rewards, self.groups, "global_mean")
        assert labels.tolist() == [False, True, False, True, False, True]

    def test_by_sign(self):
        labels = desirable_labels(np.array([-1.0, 0.0, 1e-9]), np.zeros(3, dtype=np.int64), "positive")
        assert labels.tolist() == [False, False, True]

    def test_rounding_of_the_mean_makes_no_response_desirable(self):
        """Six rewards of 0.1 have the mean 0.09999999999999999 in floating point: none is above it."""
        rewards = np.full(6, 0.1)
        assert rewards.mean() < 0.1
        assert not desirable_labels(rewards, np.zeros(6, dtype=np.int64), "prompt_mean").any()
        assert not desirable_labels(rewards, np.arange(6), "global_mean").any()

    @pytest.mark.parametrize("rule", ["prompt_mean", "global_mean"])
    def test_shifting_all_rewards_changes_nothing(self, rule):
        shifted = desirable_labels(self.rewards - 40.0, self.groups, rule)
        assert (shifted == desirable_labels(self.rewards, self.groups, rule)).all()

    def test_shifting_one_prompts_rewards_changes_nothing_where_it_has_spread(self):
        shifted = self.rewards + np.where(self.groups == 0, 100.0, 0.0)
        labels = desirable_labels(shifted, self.groups, "prompt_mean")
        assert labels[self.groups == 0].tolist() == [False, True, False]


class TestPrompts:
    def test_come_once_each_by_first_appearance(self):
        assert [(p.prompt_id, p.text) for p in prompts_of(ROWS)] == [("a", "A"), ("b", "B"), ("c", "C")]

    def test_keep_the_metadata_that_all_their_rows_agree_on(self):
        rows = [
            row("A", 1.0, metadata={"topic": "tea", "model": "x"}),
            row("A", 0.0, metadata={"topic": "tea", "model": "y"}),
        ]
        assert prompts_of(rows)[0].metadata == {"topic": "tea"}
        assert rows[0].metadata["model"] == "x", "the rows themselves stay as they are"


@pytest.mark.parametrize("marker", [-1e12, 1e12, -1e9, 999.0])
@pytest.mark.parametrize("scale", [1.0, 1e-6])
def test_labels_of_a_prompt_depend_on_its_own_rewards(marker, scale):
    """Under "above the prompt's mean"; a failed generation of another prompt has its marker."""
    rewards, groups = scale * np.array([0.2, 0.8, 0.5, 0.1, 0.0, 0.0]), np.array([0, 0, 1, 1, 2, 2])
    clean = desirable_labels(rewards, groups)[:4].tolist()
    assert clean == [False, True, True, False]
    rewards[4] = marker
    assert desirable_labels(rewards, groups)[:4].tolist() == clean


@pytest.mark.parametrize("rule", ["prompt_mean", "global_mean", "positive"])
def test_a_label_of_the_data_stands_whatever_the_rule(rule):
    """All desirable: no rule on equal rewards could say so."""
    rows = [row("A", 1.0, label=True), row("B", 1.0, label=True), row("C", 0.0)]
    labels = desirable_labels(rewards_of(rows), group_ids(rows), rule, labels_in(rows))
    assert labels.tolist() == [True, True, False]
    assert labels_in(rows[2:]) is None


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ({"reference": "x"}, {"reference": None}, ["x"]),
        ({"references": None, "reference": "x"}, {}, ["x"]),
        ({"references": ["x", "y"]}, {"references": None}, ["x", "y"]),
        ({"reference": "x"}, {"reference": "y"}, ["x", "y"]),
        ({"references": ["x"], "reference": "y"}, {"references": ["z"]}, ["y", "x", "z"]),
        ({"references": [], "reference": 42}, {}, ["42"]),
        ({"reference": " "}, {"reference": None}, []),
    ],
)
def test_references_of_a_prompt_are_those_of_all_its_rows(first, second, expected):
    (prompt,) = prompts_of([row("A", 1.0, metadata=first), row("A", 0.0, metadata=second)])
    assert references_of(prompt) == expected
