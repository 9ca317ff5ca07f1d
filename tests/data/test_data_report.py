"""What the report counts, and what it warns of, on hand-made data."""

import numpy as np
import pytest

from rpo_bench.data.caveats import warnings_of
from rpo_bench.data.report import Bin, describe, find_duplicates, summarise_rewards
from rpo_bench.data.row import Row


def row(prompt, reward, response="x", **more):
    return Row(prompt=prompt, response=response, reward=reward, **{"prompt_id": prompt, **more})


def healthy(prompts=100, k=4):
    """Rewards from a normal distribution: K responses to each prompt, none of them equal."""
    rewards = np.random.default_rng(0).normal(size=(prompts, k))
    return [row(f"p{p}", rewards[p, i], f"answer {i}") for p in range(prompts) for i in range(k)]


def codes(rows):
    return {w.code for w in warnings_of(describe(rows, "rows.jsonl"), rows)}


def sentence(rows, code):
    (found,) = [w.sentence for w in warnings_of(describe(rows, "rows.jsonl"), rows) if w.code == code]
    return found


class TestReport:
    def test_counts_prompts_by_their_number_of_responses(self):
        rows = [row("a", 1.0), row("a", 2.0), row("b", 3.0), row("c", 4.0), row("c", 4.0), row("d", 1.0)]
        report = describe(rows, "rows.jsonl")
        assert (report.rows, report.prompts, report.responses_per_prompt) == (6, 4, {1: 2, 2: 2})
        assert report.constant_prompts == 1

    def test_summarises_rewards(self):
        """0, 1, 2, 3, 4: quartiles 1, 2, 3, mean 2, variance (4 + 1 + 0 + 1 + 4)/5 = 2."""
        summary = summarise_rewards(np.array([4.0, 0.0, 3.0, 1.0, 2.0]))
        assert (summary.minimum, summary.quartile_1, summary.median, summary.quartile_3, summary.maximum) == (
            0, 1, 2, 3, 4,
        )  # fmt: skip
        assert (summary.mean, summary.sd, summary.distinct) == (2.0, pytest.approx(2**0.5), 5)

    def test_few_values_have_a_bar_each(self):
        histogram = summarise_rewards(np.array([1.0, 0.0, 1.0])).histogram
        assert histogram == (Bin(0.0, 0.0, 1), Bin(1.0, 1.0, 2))

    def test_many_values_share_ten_bars_that_hold_them_all(self):
        """0 … 99 in ten bins of 9.9: ten values in each."""
        histogram = summarise_rewards(np.arange(100.0)).histogram
        assert [b.count for b in histogram] == [10] * 10
        assert (histogram[0].low, histogram[-1].high) == (0.0, 99.0)

    def test_lengths_are_of_every_response_and_of_each_prompt_once(self):
        rows = [row("one two", 1.0, "a b c"), row("one two", 2.0, ""), row("three", 1.0, "a")]
        report = describe(rows, "rows.jsonl")
        assert (report.prompt_words.minimum, report.prompt_words.maximum) == (1, 2)
        assert (report.prompt_characters.minimum, report.prompt_characters.maximum) == (5, 7)
        assert (
            report.response_words.minimum,
            report.response_words.median,
            report.response_words.maximum,
        ) == (0, 1, 3)
        assert report.empty_responses == 1

    def test_shares_of_desirable_responses(self):
        rows = [row("a", 1.0), row("a", 2.0), row("b", -3.0), row("b", -4.0)]
        assert describe(rows, "f").desirable_share == {
            "prompt_mean": 0.5,
            "global_mean": 0.5,
            "positive": 0.5,
        }

    def test_counts_pairs_splits_and_optional_fields(self):
        rows = [
            row("a", 1.0, pair="1", split="train", behaviour_logp=-1.0),
            row("a", 0.0, pair="1", split="train"),
            row("b", 0.0, reference_rewards=(1.0,)),
            row("b", 1.0, reference_rewards=(1.0,)),
        ]
        report = describe(rows, "f")
        assert (report.pairs, report.splits) == (1, {"train": 2, "none": 2})
        assert (report.with_behaviour_logp, report.with_reference_rewards) == (1, 1)


def test_duplicates_are_told_apart():
    """x/1 twice more (two repeated rows), y with 1 and 2 (one conflict), z once; prompt a under two ids."""
    rows = [row("a", 1.0, "x")] * 3 + [
        row("a", 1.0, "y"),
        row("a", 2.0, "y"),
        row("a", 1.0, "z", prompt_id="other"),
    ]
    found = find_duplicates(rows)
    assert (found.rows, found.responses, found.conflicting, found.prompts) == (2, 3, 1, 1)


class TestWarnings:
    def test_healthy_data_has_none(self):
        assert codes(healthy()) == set()

    def test_one_response_per_prompt(self):
        found = sentence(healthy(k=1), "single_response")
        assert found.startswith("100 of 100 prompts (100%) have one response (K = 1): RPO's partition")
        assert "leave_one_out refuses it" in found

    def test_one_response_per_prompt_is_enough_where_reference_rewards_say_the_rest(self):
        rows = [r.model_copy(update={"reference_rewards": (0.0, 1.0)}) for r in healthy(k=1)]
        assert "single_response" not in codes(rows)

    def test_groups_of_equal_rewards(self):
        rows = [r.model_copy(update={"reward": 1.0}) if r.prompt == "p0" else r for r in healthy()]
        assert sentence(rows, "constant_groups").startswith(
            "1 of 100 prompts (1%) with two or more responses"
        )

    def test_equal_rewards_everywhere_are_one_warning_not_many(self):
        rows = [r.model_copy(update={"reward": 1.0}) for r in healthy()]
        assert codes(rows) == {"constant_rewards"}
        assert sentence(rows, "constant_rewards").startswith("Every reward is 1:")

    def test_few_reward_values(self):
        rows = [r.model_copy(update={"reward": float(i % 2)}) for i, r in enumerate(healthy())]
        assert sentence(rows, "discrete_rewards").startswith("The rewards take only 2 values:")

    def test_only_desirable_labels(self):
        rows = [r.model_copy(update={"reward": r.reward + 100}) for r in healthy()]
        assert sentence(rows, "one_label") == (
            "Under label_rule=positive every response is desirable: KTO has nothing to contrast."
        )

    def test_a_rare_label(self):
        """The mean of 19 rewards near 0 and one near 20 is near 1: 5 % are above it."""
        rows = [
            r.model_copy(update={"reward": r.reward / 100 + 20 * (i % 20 == 0)})
            for i, r in enumerate(healthy())
        ]
        assert "Under label_rule=global_mean 5% of the responses are desirable" in sentence(
            rows, "unbalanced_labels"
        )

    def test_an_outlier(self):
        """One reward of 1000 among 399 near 0: its z-score is close to the greatest possible, √399 ≈ 20."""
        rows = [r.model_copy(update={"reward": 1000.0}) if i == 7 else r for i, r in enumerate(healthy())]
        assert sentence(rows, "outlying_rewards").startswith(
            "A reward is 20 standard deviations from the mean"
        )

    def test_few_prompts(self):
        assert codes(healthy(prompts=99)) == {"few_prompts"}

    def test_fields_that_only_some_have(self):
        rows = healthy()
        rows[0] = rows[0].model_copy(update={"behaviour_logp": -1.0, "reference_rewards": (1.0,)})
        assert codes(rows) == {"partial_behaviour_logp", "partial_reference_rewards"}

    def test_repetition_and_contradiction(self):
        rows = healthy()
        rows += [rows[0], rows[1].model_copy(update={"reward": 9.0}), row("p2", 0.5, " ", prompt_id="other")]
        assert {"duplicate_rows", "conflicting_rewards", "prompt_under_two_ids", "empty_responses"} <= codes(
            rows
        )

    @pytest.mark.parametrize("turn", ["Human", "Assistant"])
    def test_responses_that_write_both_sides(self, turn):
        rows = [*healthy(), row("p0", 0.1, f"So.\n\n{turn}: Why?")]
        assert sentence(rows, "further_turns").startswith("1 of 401 responses continue with another turn")

    def test_responses_that_repeat_their_prompt(self):
        rows = [*healthy(), row("p0", 0.1, "p0 and more")]
        assert sentence(rows, "prompt_in_response").startswith(
            "1 of 401 responses begin with their whole prompt"
        )


@pytest.mark.parametrize(
    ("rewards", "markers"),
    [
        ([0.2, 0.8, 0.5, -999.0], (-999.0,)),
        ([0.2, 0.8, 0.5, 1e9], (1e9,)),
        ([-1e12, 0.2, 0.8, 1e3], (-1e12,)),
        ([0.0, 1.0], ()),
        ([0.0, 0.5, 1.0, 9.0], ()),
        ([3.0], ()),
    ],
)
def test_a_value_far_from_all_others_is_called_a_marker(rewards, markers):
    rows = [row(f"p{i}", reward) for i, reward in enumerate(rewards)]
    report = describe(rows, "x")
    assert report.reward.markers == markers
    assert ("sentinel_rewards" in [w.code for w in warnings_of(report, rows)]) == bool(markers)


def test_prompts_that_are_nearly_equal_are_counted():
    rows = [row(text, 1.0) for text in ("Why ?", "why ?", " Why  ? ", "Why ？", "Who ?")]
    report = describe(rows, "x")
    assert report.duplicates.near == 3
    sentence = next(w.sentence for w in warnings_of(report, rows) if w.code == "near_equal_prompts")
    assert sentence.startswith("3 of 5 prompts differ from another one only in spacing, case or Unicode form")
