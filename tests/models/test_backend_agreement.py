"""Whether samples come from the checkpoint that they are said to be of."""

from pathlib import Path

import numpy as np
import pytest

from rpo_bench.errors import UserError
from rpo_bench.models.backends.agreement import LogpAgreement, agreement, check_agreement
from rpo_bench.models.backends.protocol import SampledResponse

HERE = Path("ckpt")


def sampled(*logps: float) -> SampledResponse:
    return SampledResponse(tuple(range(len(logps))), logps, None, True)


def test_differences_are_over_tokens_and_not_over_responses():
    theirs = [sampled(-1.0, -2.0, -3.0), sampled(-1.0)]
    ours = [np.array([-1.1, -2.1, -3.1], np.float32), np.array([-0.5], np.float32)]
    found = agreement(theirs, ours)
    assert found is not None
    assert found.tokens == 4
    assert found.mean == pytest.approx((3 * 0.1 - 0.5) / 4, abs=1e-6)
    assert found.mean_abs == pytest.approx((3 * 0.1 + 0.5) / 4, abs=1e-6)
    assert found.max_abs == pytest.approx(0.5)


def test_without_log_probabilities_there_is_nothing_to_compare():
    assert agreement([SampledResponse(None, None, "text", True)], [np.zeros(0, np.float32)]) is None
    check_agreement(None, HERE)


def test_rounding_to_bfloat16_passes():
    rng = np.random.default_rng(0)
    check_agreement(agreement([sampled(*rng.normal(-2, 0.02, 4000))], [np.full(4000, -2.0)]), HERE)


def test_samples_of_another_policy_have_a_mean_of_its_kl_and_are_refused():
    """Tokens drawn from p: the mean of log p − log q is KL(p‖q), 0.026 nats here."""
    rng = np.random.default_rng(0)
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.4, 0.3, 0.3])
    tokens = rng.choice(3, 20_000, p=p)
    found = agreement([sampled(*np.log(p)[tokens])], [np.log(q)[tokens]])
    assert found is not None
    assert found.mean == pytest.approx(float((p * np.log(p / q)).sum()), abs=0.003)
    with pytest.raises(UserError, match=r"samples aren't those of ckpt.*another or a quantised model"):
        check_agreement(found, HERE)


def test_large_differences_that_cancel_are_refused_too():
    with pytest.raises(UserError, match="aren't those of ckpt"):
        check_agreement(LogpAgreement(100, 0.0, 0.5, 2.0), HERE)
