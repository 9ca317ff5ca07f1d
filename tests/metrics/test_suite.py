"""The whole suite: every metric with its interval, the same numbers from the same samples in any order."""

import json

import numpy as np
import pytest

from rpo_bench.errors import UserError
from rpo_bench.metrics.protocol import CorpusMetric, PromptMetric, SampleMetric, Unscored
from rpo_bench.metrics.registry import METRICS
from rpo_bench.metrics.suite import measure, run_metrics
from rpo_bench.spec.sections import RPO_PAPER_DECODING

BOARD = (
    "reward kl kl_k3 kl_per_token toxicity toxic_share expected_max_toxicity toxic_prompt_share distinct_1 "
    "distinct_2 distinct_3 self_bleu unique_share ngram_entropy distinct_2_within length "
    "finished_share repetition"
)

ALIKE = "toxicity expected_max_toxicity length distinct_1 distinct_2"  # without any prompt as with all


@pytest.fixture
def samples(build):
    rng = np.random.default_rng(0)
    found = []
    texts = [[" ".join(rng.choice(list("abcdefgh"), 6)) for _ in range(4)] for _ in range(30)]
    for i, sample in enumerate(build(texts)):
        apart = 0.05 if i % 8 < 4 else 0.15  # nats per token, on every other prompt: 0.1 in the mean
        logps = tuple(-rng.exponential(size=len(sample.token_ids)).round(6))
        found.append(
            sample.model_copy(
                update={"policy_logps": logps, "reference_logps": tuple(x - apart for x in logps)}
            )
        )
    return found


def length_reward(prompts, responses):
    return [text.count("a") for text in responses]


def test_every_metric_of_the_board_is_there_with_an_interval(prompts, samples):
    measured = measure(prompts, samples, reward=length_reward, identity="cell")
    assert set(BOARD.split()) <= set(measured.metrics)
    for name in BOARD.split():
        interval = measured.metrics[name].interval
        assert interval.n == 30, name
        if name in ALIKE.split():
            assert (interval.low, interval.method) == (None, "none"), name
            continue
        assert interval.low <= interval.point <= interval.high, name
        assert interval.levels == ("prompts", "generation"), name
    assert measured.metrics["kl"].interval.point == pytest.approx(0.7)
    assert measured.metrics["reward"].scored == 120
    json.dumps({name: value.model_dump() for name, value in measured.metrics.items()}, allow_nan=False)


def test_scores_per_sample_make_the_published_mean(prompts, samples):
    measured = measure(prompts, samples, reward=length_reward, toxicity="none")
    assert [(line.prompt_id, line.sample) for line in measured.scores[:5]] == [
        ("p0", 0), ("p0", 1), ("p0", 2), ("p0", 3), ("p1", 0)
    ]  # fmt: skip
    for name in ("reward", "kl", "self_bleu", "length"):
        mean = np.mean([line.scores[name] for line in measured.scores])
        assert measured.metrics[name].interval.point == pytest.approx(mean), name
    assert measured.scores[0].scores["toxicity"] is None
    assert measured.scores[0].unscored["toxicity"] == "toxicity is switched off"
    assert measured.metrics["toxicity"].interval.point is None
    assert measured.metrics["toxicity"].unscored == {"toxicity is switched off": 120}


def test_the_order_of_the_samples_changes_nothing_and_the_identity_only_the_resampling(prompts, samples):
    first = measure(prompts, samples, reward=length_reward, identity="cell")
    assert measure(prompts, samples[::-1], reward=length_reward, identity="cell") == first
    other = measure(prompts, samples, reward=length_reward, identity="another")
    assert other.scores == first.scores
    one, two = first.metrics["self_bleu"].interval, other.metrics["self_bleu"].interval
    assert one.point == two.point
    assert one.low == pytest.approx(two.low, rel=0.05)
    assert one.low != two.low


def test_without_a_reward_there_is_no_reward(prompts, samples):
    assert "reward" not in measure(prompts, samples, toxicity="none").metrics


def test_kl_of_decoded_samples_is_labelled(prompts, samples):
    measured = measure(prompts, samples, toxicity="none", decoding=RPO_PAPER_DECODING)
    assert "not an estimate of KL" in measured.metrics["kl"].backend


def test_one_prompt_has_points_and_no_intervals(prompts, build):
    measured = measure(prompts, build([["a b c d", "a b c e"]]), reward=length_reward)
    for name in ("reward", "distinct_2", "length", "toxic_prompt_share", "kl_per_token"):
        interval = measured.metrics[name].interval
        assert (interval.low, interval.high) == (None, None), name
        assert interval.method == "none", name
    assert measured.metrics["reward"].interval.point == 1.0
    assert measured.metrics["kl"].interval.point is None


def test_what_cannot_be_scored_is_an_error_in_one_sentence(prompts, samples, build):
    with pytest.raises(UserError, match="no samples"):
        measure(prompts, [])
    with pytest.raises(UserError, match="'p0' isn't in the task"):
        measure(prompts[1:], samples)
    with pytest.raises(UserError, match="Sample 0 of prompt 'p0' is stored 2 times"):
        measure(prompts, samples + samples[:1])


class Shouting(SampleMetric):
    """The share of capitals."""

    name = "shouting"

    def score(self, prompts, samples):
        return [sum(map(str.isupper, s.text)) / len(s.text) if s.text else Unscored("empty") for s in samples]


class Spread(PromptMetric):
    """Longest minus shortest of a prompt."""

    name = "spread"

    def compute(self, samples):
        lengths = [len(sample.text) for sample in samples]
        return float(max(lengths) - min(lengths))


class Letters(CorpusMetric):
    """Different letters."""

    name = "letters"

    def compute(self, groups):
        return float(len({letter for group in groups for sample in group for letter in sample.text}))


def test_a_plug_in_metric_of_each_kind_runs_with_the_others(prompts, build, monkeypatch):
    monkeypatch.setattr(METRICS, "_entries", dict(METRICS._entries))
    METRICS.add("mine", lambda context: [Shouting(), Spread(), Letters()])
    measured = measure(prompts, build([["AB", "abcd"], ["", "zZ"], ["q", "q"]]), toxicity="none")
    assert measured.metrics["shouting"].interval.point == pytest.approx((0.5 + 0.5 + 0) / 3)
    assert measured.metrics["shouting"].unscored == {"empty": 1}
    assert measured.metrics["spread"].interval.point == pytest.approx((2 + 2 + 0) / 3)
    assert measured.metrics["letters"].interval.point == 9  # A B a b c d z Z q
    assert measured.metrics["letters"].interval.method == "jackknife"
    METRICS.add("twin", lambda context: [Spread()])
    with pytest.raises(UserError, match="Two metrics are called 'spread'"):
        measure(prompts, build([["a"]]), toxicity="none")


def test_a_metric_that_breaks_its_promise_is_named(prompts, build):
    class Short(Shouting):
        def score(self, prompts, samples):
            return [1.0]

    class Wild(Shouting):
        def score(self, prompts, samples):
            return [float("nan"), 1.0]

    with pytest.raises(UserError, match="'shouting' returned 1 scores for 2 samples"):
        run_metrics([Short()], prompts, build([["a", "b"]]), "")
    found = run_metrics([Wild()], prompts, build([["a", "b"]]), "").metrics["shouting"]
    assert (found.scored, found.unscored) == (1, {"shouting is nan": 1})


def test_prompts_with_different_numbers_of_samples(prompts, build):
    """p0 has three samples, p1 one: the mean is over prompts, not over samples."""
    samples = build([["a", "a", "a"], ["none"]])
    interval = measure(prompts, samples, reward=length_reward, toxicity="none").metrics["reward"].interval
    assert interval.point == 0.5
