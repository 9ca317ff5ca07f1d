"""The gradient coefficient on a grid: an offline method's own function, an online surrogate by autograd."""

import dataclasses
import math

import numpy as np
import pytest
from scipy.stats import norm

from rpo_bench.methods import METHODS
from rpo_bench.methods.coefficients import (
    LOG_RATIOS,
    MOVES,
    RESPONSES,
    REWARDS,
    coefficient_map,
    online_coefficient_map,
)
from trainers import DPO, DRO, KTO, QRPO, REBEL, RPO, UNA
from trainers.grpo import GRPO
from trainers.objective import OfflineMethod
from trainers.online import OnlineMethod
from trainers.p3o import P3O
from trainers.ppo import PPO
from trainers.qrpo import beta_log_partition
from trainers.rloo import RLOO

ONLINE = [name for name in METHODS if isinstance(METHODS.get(name)(), OnlineMethod)]


def at(found, reward: float, log_ratio: float) -> float:
    (i,), (j,) = np.flatnonzero(found.rewards == reward), np.flatnonzero(found.log_ratios == log_ratio)
    return float(found.values[i, j])


def test_una_by_hand():
    """GC = r/τ − D with τ = ½: r = 1, D = −2 gives 4; r = −½, D = 1 gives −2."""
    found = coefficient_map(UNA(tau=0.5))
    assert found.values.shape == (len(REWARDS), len(LOG_RATIOS))
    assert at(found, 1.0, -2.0) == pytest.approx(4)
    assert at(found, -0.5, 1.0) == pytest.approx(-2)


def test_rpo_takes_the_partition_of_the_logged_rewards_off():
    """GC = r/τ − log Ẑ − D, Ẑ the mean of e^{r/τ} over the normal quantiles at 1/32, 3/32, … , 31/32."""
    found = coefficient_map(RPO(tau=0.5))
    quantiles = norm.ppf((np.arange(RESPONSES) + 0.5) / RESPONSES)
    log_z = np.log(np.exp(quantiles / 0.5).mean())
    assert at(found, 1.0, 0.0) == pytest.approx(2 - log_z)
    assert at(found, 0.5, -1.0) == pytest.approx(2 - log_z)


def test_batch_statistics_are_those_of_the_logged_responses():
    """DRO-P: their mean reward is 0, so GC = r − τD; KTO: z0 = 0, so |GC| = β/4 at D = 0."""
    found = coefficient_map(DRO(tau=1.0, baseline="batch_mean"))
    assert at(found, 1.0, 0.0) == pytest.approx(1, abs=1e-9)
    kto = coefficient_map(KTO(beta=0.2, weight_u=2.0))
    assert at(kto, 1.0, 0.0) == pytest.approx(0.05)
    assert at(kto, -1.0, 0.0) == pytest.approx(-0.1)


def test_rewards_go_through_the_methods_own_transformation():
    """The median's quantile is ½: GC = 2β(½ − β log Z) at D = 0."""
    expected = 2 * 0.3 * (0.5 - beta_log_partition(0.3, "identity"))
    assert at(coefficient_map(QRPO(tau=0.3)), 0.0, 0.0) == pytest.approx(expected, abs=1e-3)


def test_pairs_are_seen_from_the_one_response():
    """REBEL, τ = ½: 2(Δr/τ − ΔD) = 2(2 − 1) = 2. DPO at ΔD = 0: ±β/2 by who is better; no row for ties."""
    rebel = coefficient_map(REBEL(tau=0.5))
    assert at(rebel, 1.0, 1.0) == pytest.approx(2)
    assert at(rebel, -1.0, 1.0) == pytest.approx(2 * (-2 - 1))
    dpo = coefficient_map(DPO(beta=0.4))
    assert 0.0 not in dpo.rewards
    assert at(dpo, 2.0, 0.0) == pytest.approx(0.2)
    assert at(dpo, -2.0, 0.0) == pytest.approx(-0.2)
    np.testing.assert_allclose(dpo.values, -dpo.values[::-1, ::-1])


@pytest.mark.parametrize("name", [name for name in METHODS if isinstance(METHODS.get(name)(), OfflineMethod)])
def test_every_offline_method_has_one(name: str):
    found = coefficient_map(METHODS.get(name)())
    assert np.isfinite(found.values).all()


@pytest.mark.parametrize("partition", ["leave_one_out", "reference_samples", "self_normalised"])
def test_every_partition_has_one(partition: str):
    assert np.isfinite(coefficient_map(dataclasses.replace(RPO(), partition=partition)).values).all()


def test_rloo_by_hand():
    """The others' rewards average 0: A = r. GC = ρA: r = 2, log ρ = −1 gives 2/e; above 1.2 it is clipped."""
    found = online_coefficient_map(RLOO())
    assert at(found, 2.0, 0.0) == pytest.approx(2)
    assert at(found, 2.0, -1.0) == pytest.approx(2 / math.e)
    assert at(found, 2.0, 0.2) == 0, "e^0.2 = 1.22 is above 1.2"
    assert at(found, -1.0, 0.5) == pytest.approx(-math.exp(0.5)), "the clip never holds back a correction"


def test_p3o_has_half_the_difference_of_a_pair():
    """(r_1 − r_2)/2 with r_2 = 0."""
    found = online_coefficient_map(P3O())
    assert found.pairs
    assert at(found, 1.5, 0.0) == pytest.approx(0.75)


def test_grpo_adds_the_pull_to_the_reference():
    """At reward 0 = the group's mean the advantage is 0: what is left is β(π_ref/π_θ − 1), β = ½."""
    found = online_coefficient_map(GRPO(kl_coef=0.5))
    assert at(found, 0.0, 0.5) == pytest.approx(0.5 * (math.exp(-0.5) - 1))


@pytest.mark.parametrize("name", ONLINE)
def test_every_online_method_has_one(name: str):
    """Better than the others is pushed up, worse down, on the spot; the map is whole."""
    found = online_coefficient_map(METHODS.get(name)())
    assert found.values.shape == (len(found.rewards), len(MOVES))
    assert np.isfinite(found.values).all()
    assert at(found, 2.0, 0.0) > 0 > at(found, -2.0, 0.0)


def test_ppo_whitens():
    """r = 2 beside 15 normal quantiles: less than 2 standard deviations, as the deviation includes it."""
    assert len(REWARDS) == len(online_coefficient_map(PPO()).rewards)
    assert 1.5 < at(online_coefficient_map(PPO()), 2.0, 0.0) < 2.0
