"""Proxy reward and its gap to the gold reward."""

import pytest

from rpo_bench.metrics.proxy import Proxy
from rpo_bench.metrics.suite import measure
from rpo_bench.models.reward_record import RewardRecord, Scale

#: On the responses it was measured on, scores were 10 ± 2 where rewards were 1 ± 0.5.
SCALE = Scale(score_mean=10, score_sd=2, reward_mean=1, reward_sd=0.5, responses=9, of="nine")


def words(prompts, responses):
    return [float(len(text.split())) for text in responses]


def scores(prompts, responses):
    return [None if text == "none" else 10.0 + 4 * len(text.split()) for text in responses]


def measured(prompts, samples, **more):
    return measure(prompts, samples, toxicity="none", **more)


def test_a_standardised_proxy_and_its_gap(build, prompts):
    """Two words score 18, which is 1 + ½ · 4 = 3 in units of the reward; the reward is 2, the gap 1."""
    found = measured(prompts, build([["a b"], ["c d"]]), reward=words, proxy=Proxy(scores, "p", SCALE))
    assert found.metrics["proxy_reward"].interval.point == 3.0
    assert found.metrics["proxy_reward"].unit == "of the gold reward"
    assert found.metrics["proxy_gap"].interval.point == 1.0
    assert found.metrics["proxy_gap"].higher_is_better is False
    assert found.metrics["proxy_gap"].backend == "p"
    assert found.scores[0].scores["proxy_gap"] == 1.0


def test_without_a_scale_the_proxy_is_in_its_own_units(build, prompts):
    found = measured(prompts, build([["a b"], ["c d"]]), reward=words, proxy=Proxy(scores, "p"))
    assert found.metrics["proxy_reward"].interval.point == 18.0
    assert "proxy_gap" not in found.metrics


def test_without_a_gold_reward_there_is_no_gap(build, prompts):
    found = measured(prompts, build([["a b"], ["c d"]]), proxy=Proxy(scores, "p", SCALE))
    assert "proxy_gap" not in found.metrics


def test_without_a_proxy_there_is_neither(build, prompts):
    assert not any("proxy" in name for name in measured(prompts, build([["a"]]), reward=words).metrics)


def test_what_either_leaves_unscored_has_no_gap(build, prompts):
    found = measured(
        prompts, build([["a b", "none"], ["c d"]]), reward=words, proxy=Proxy(scores, "p", SCALE)
    )
    assert found.metrics["proxy_gap"].unscored == {"p returned None": 1}
    assert found.metrics["proxy_gap"].interval.point == 1.0


@pytest.mark.parametrize(
    ("model", "content", "expected"),
    [("decoder", "x", "own"), ("decoder", "changed", "any"), ("other", "y", "any")],
)
def test_a_scale_holds_for_the_weights_that_it_was_measured_on(model, content, expected):
    own = SCALE.model_copy(update={"of": "own", "model_hash": "x"})
    record = RewardRecord.model_construct(scale={"decoder": own, "*": SCALE.model_copy(update={"of": "any"})})
    assert record.scale_for(model, content).of == expected
