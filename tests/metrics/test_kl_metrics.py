"""KL on the sampled tokens: unbiased, zero for a policy that is its reference, honest about decoding."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_models import tiny_decoder

from rpo_bench.data.row import Prompt
from rpo_bench.engine.stages.generate import stored_sample
from rpo_bench.metrics.kl import K3, LogRatioPerToken, MeanLogRatio, described, kl_metrics
from rpo_bench.metrics.protocol import CorpusMetric, MetricContext, Unscored
from rpo_bench.models.hf import HFModel
from rpo_bench.results.samples import StoredSample
from rpo_bench.spec.sections import RPO_PAPER_DECODING, Decoding


def sample(policy: list[float] | None, reference: list[float] | None) -> StoredSample:
    count = len(policy or reference or [0.0])
    return StoredSample(
        prompt_id="p", prompt="q", sample=0, text="", finished=True, token_ids=tuple(range(count)),
        policy_logps=policy, reference_logps=reference,
    )  # fmt: skip


def test_by_hand():
    """d = (log 2, −log 2): Σ d = 0; k3 = (½ − 1 + log 2) + (2 − 1 − log 2) = ½."""
    two = sample([-1.0, -2.0], [-1.0 - math.log(2), -2.0 + math.log(2)])
    assert MeanLogRatio("").score([], [two]) == pytest.approx([0.0])
    assert K3("").score([], [two]) == pytest.approx([0.5])


def test_per_token_is_all_nats_over_all_tokens():
    """A sample of 1 token with 1 nat and one of 3 tokens with 1 nat: 2/4, where the mean of ratios is 2/3."""
    groups = [[sample([-1.0], [-2.0])], [sample([-1.0] * 3, [-1.0, -1.0, -2.0])]]
    metric = LogRatioPerToken("")
    assert metric.compute(groups) == pytest.approx(0.5)
    assert metric.left_out(groups).tolist() == pytest.approx([1 / 3, 1.0])
    np.testing.assert_allclose(metric.left_out(groups), CorpusMetric.left_out(metric, groups))


def test_without_log_probs_it_is_unscored():
    reason = Unscored("no log-probabilities of policy and reference")
    assert MeanLogRatio("").score([], [sample([-1.0], None)]) == [reason]
    assert K3("").score([], [sample(None, [-1.0])]) == [reason]
    assert LogRatioPerToken("").compute([[sample([-1.0], None)]]) == reason


def test_the_backend_says_when_the_samples_are_not_the_policys_own():
    assert described(Decoding(max_new_tokens=9)) == "token-exact, ancestral samples"
    told = described(RPO_PAPER_DECODING)
    assert "temperature 0.7, top_k 50, top_p 0.95" in told
    assert "not an estimate of KL" in told
    assert {metric.backend for metric in kl_metrics(MetricContext(RPO_PAPER_DECODING))} == {told}


def test_both_estimators_agree_with_the_exact_kl_of_real_models(tmp_path: Path):
    """Responses of at most two tokens are enumerated: KL = Σ_y π(y) log π(y)/π_ref(y). Both estimates lie
    within four standard errors of it, and k3 has the smaller variance."""
    policy = HFModel.load(tiny_decoder(tmp_path / "policy", scale=10.0))
    reference = HFModel.load(tmp_path / "policy")
    torch.manual_seed(0)
    with torch.no_grad():
        for weights in reference.model.parameters():
            weights += 0.02 * torch.randn_like(weights)
    prompt, n = Prompt(prompt_id="p", text="what is"), 6000
    found = policy.generate([prompt], n, Decoding(max_new_tokens=2), seed=0, batch_size=6000)
    arguments = ([s.prompt for s in found], [s.token_ids for s in found], 2000)
    pairs = zip(found, policy.token_logps(*arguments), reference.token_logps(*arguments), strict=True)
    samples = [stored_sample(*each) for each in pairs]

    rows = policy.model.get_input_embeddings().weight.shape[0]
    eos = policy.tokenizer.eos_token_id
    every = [(eos,), *((a, b) for a in range(rows) if a != eos for b in range(rows))]
    ours = np.array(
        [x.sum() for x in policy.token_logps([prompt.text] * len(every), every, 1000)], dtype=np.float64
    )
    theirs = np.array([x.sum() for x in reference.token_logps([prompt.text] * len(every), every, 1000)])
    assert np.exp(ours).sum() == pytest.approx(1, abs=1e-4)
    exact = float((np.exp(ours) * (ours - theirs)).sum())
    assert exact > 0.02

    plain, k3 = (np.array(metric("").score([], samples)) for metric in (MeanLogRatio, K3))
    for values in (plain, k3):
        assert abs(values.mean() - exact) < 4 * values.std() / math.sqrt(n)
    assert k3.std() < 0.5 * plain.std()
    assert (k3 >= 0).all()
