"""The gradient coefficient of an online method: its own surrogate by autograd, on a grid."""

import math

import numpy as np
import pytest

from rpo_bench.methods import METHODS
from rpo_bench.methods.coefficients import REWARDS
from rpo_bench.methods.online_coefficients import MOVES, online_coefficient_map
from trainers.grpo import GRPO
from trainers.online import OnlineMethod
from trainers.p3o import P3O
from trainers.ppo import PPO
from trainers.rloo import RLOO

ONLINE = [name for name in METHODS if isinstance(METHODS.get(name)(), OnlineMethod)]


def at(found, reward: float, move: float) -> float:
    (i,), (j,) = np.flatnonzero(found.rewards == reward), np.flatnonzero(found.log_ratios == move)
    return float(found.values[i, j])


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
