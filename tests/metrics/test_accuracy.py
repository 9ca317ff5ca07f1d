"""Accuracy and pass@k of a verifier's verdicts, by hand and against the best of k."""

import numpy as np
import pytest

from rpo_bench.data.row import Prompt
from rpo_bench.metrics.accuracy import pass_at_k
from rpo_bench.metrics.suite import measure
from rpo_bench.stats.oracle import best_of
from rpo_bench.verifier import Verifier


@Verifier
def right(prompt: Prompt, response: str) -> bool | None:
    """Right is to say "yes"; nothing is known of p9."""
    return None if prompt.prompt_id == "p9" else response == "yes"


def metrics_of(prompts, samples, reward=right):
    return measure(prompts, samples, reward=reward, toxicity="none").metrics


class TestPassAtK:
    def test_by_hand(self):
        """Of 4 samples 1 is right: two miss it in C(3, 2)/C(4, 2) = 3/6 cases; 2 right: 1/6; 3: never."""
        verdicts = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 0, 0.0], [1, 1, 1, 1]])
        assert pass_at_k(verdicts, 2) == pytest.approx([1 / 2, 5 / 6, 1, 0, 1])
        assert pass_at_k(verdicts, 1) == pytest.approx(verdicts.mean(axis=1))
        assert pass_at_k(verdicts, 4) == pytest.approx([1, 1, 1, 0, 1])

    def test_what_is_unscored_doesnt_count(self):
        """Of three scored samples one is right: two of them miss it in C(2, 2)/C(3, 2) = 1/3 of the cases."""
        verdicts = np.array([[1, 0, np.nan, 0], [np.nan, np.nan, np.nan, 1]])
        found = pass_at_k(verdicts, 2)
        assert found[0] == pytest.approx(2 / 3)
        assert np.isnan(found[1])

    def test_is_the_best_of_k_samples(self):
        rng = np.random.default_rng(0)
        verdicts = (rng.random((50, 16)) < rng.random((50, 1))).astype(float)
        for k in (1, 3, 8, 16):
            assert pass_at_k(verdicts, k) == pytest.approx(best_of(verdicts, k), abs=1e-9)

    def test_has_no_bias(self):
        """The mean over many draws of 6 samples at a rate of 0.3 is 1 − 0.7³ = 0.657."""
        verdicts = (np.random.default_rng(1).random((40_000, 6)) < 0.3).astype(float)
        assert pass_at_k(verdicts, 3).mean() == pytest.approx(0.657, abs=0.006)


class TestMeasured:
    def test_a_verifier_reports_accuracy_and_pass_at_k_with_intervals(self, build, prompts):
        """p0: 1 of 4 right, p1: none, p2: all. Accuracy (¼ + 0 + 1)/3; pass@2 (½ + 0 + 1)/3; pass@4 2/3."""
        answers = [["yes", "no", "?", ""], ["no"] * 4, ["yes"] * 4]
        found = metrics_of(prompts, build(answers))
        assert found["accuracy"].interval.point == found["reward"].interval.point == pytest.approx(5 / 12)
        assert found["pass_at_2"].interval.point == pytest.approx(0.5)
        assert found["pass_at_4"].interval.point == pytest.approx(2 / 3)
        assert "pass_at_8" not in found
        for name in ("accuracy", "pass_at_2", "pass_at_4"):
            interval = found[name].interval
            assert 0 <= interval.low < interval.point < interval.high <= 1
            assert (interval.n, interval.level) == (3, 0.95)
            assert found[name].higher_is_better
            assert found[name].scored == 12
        assert found["pass_at_2"].unit == "share of prompts, n = 4"
        assert found["accuracy"].backend == "right (test_accuracy.py)"

    def test_pass_at_n_is_a_yes_or_no_per_prompt_and_has_wilsons_interval(self, build, prompts):
        found = metrics_of(prompts, build([["yes", "no"], ["no", "no"], ["yes", "yes"]]))
        assert found["pass_at_2"].interval.method == "wilson"
        assert found["accuracy"].interval.method == "bootstrap"

    def test_never_right_is_not_zero_plus_minus_zero(self, build, prompts):
        """Of 21 prompts 20 have a known answer. Rule of three: 1 − 0.05^(1/20) = 0.139."""
        interval = metrics_of(prompts, build([["no", "no"]] * 21))["accuracy"].interval
        assert (interval.low, interval.point) == (0.0, 0.0)
        assert interval.high == pytest.approx(0.139, abs=1e-3)

    def test_one_sample_per_prompt_has_accuracy_alone(self, build, prompts):
        found = metrics_of(prompts, build([["yes"], ["no"]]))
        assert found["accuracy"].interval.point == 0.5
        assert not [name for name in found if name.startswith("pass_at")]

    def test_five_samples_have_pass_at_2_and_4(self, build, prompts):
        found = metrics_of(prompts, build([["yes"] * 5, ["no"] * 5]))
        assert [name for name in found if name.startswith("pass_at")] == ["pass_at_2", "pass_at_4"]

    def test_a_prompt_without_a_known_answer_is_unscored_not_wrong(self, build, prompts):
        samples = [s.model_copy(update={"prompt_id": "p9"}) if s.prompt_id == "p1" else s
                   for s in build([["yes", "yes"], ["yes", "no"]])]  # fmt: skip
        found = metrics_of(prompts, samples)
        assert found["accuracy"].interval.point == 1.0
        assert found["accuracy"].unscored == {"right (test_accuracy.py) returned None": 2}

    def test_another_reward_reports_neither(self, build, prompts):
        found = metrics_of(prompts, build([["yes"], ["no"]]), lambda p, r: [1.0] * len(r))
        assert not [name for name in found if name == "accuracy" or name.startswith("pass_at")]


class TestVerifier:
    def test_scores_by_one_zero_and_none(self):
        some = [Prompt(prompt_id=f"p{i}", text="?") for i in (0, 0, 9)]
        assert right(some, ["yes", "no", "yes"]) == [1.0, 0.0, None]
        assert right([], []) == []

    def test_names_the_prompts_that_nothing_is_known_of(self):
        some = [Prompt(prompt_id=f"p{i}", text="?") for i in (0, 9)]
        assert right.unanswerable(some) == some[1:]

    def test_keeps_the_rules_name_and_words(self):
        assert right.__name__ == "right"
        assert right.__doc__.startswith("Right is to say")
