"""Online methods in the table: where they end is what their algebra says."""

import numpy as np
import pytest
import torch

from rpo_bench.tabular import rollouts
from rpo_bench.tabular.claims import Setting, claim_of
from rpo_bench.tabular.logged import Sampling
from rpo_bench.tabular.rollouts import online_fixed_point, verify_online
from rpo_bench.tabular.verify import Questions
from rpo_bench.tabular.world import kl, make_world, normalised, tilted, total_variation
from rpo_bench.tabular.yardsticks import forward_optimum
from trainers.grpo import GRPO
from trainers.p3o import P3O
from trainers.popo import POPO
from trainers.ppo import PPO
from trainers.rloo import RLOO

WORLD = make_world(0, prompts=2, responses=8)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def small(monkeypatch):
    """Fewer rollouts and steps than for a published number: enough for a few thousandths of a nat."""
    monkeypatch.setattr(rollouts, "ROLLOUTS", 256)
    monkeypatch.setattr(rollouts, "STEPS", 600)


@pytest.mark.parametrize(
    "method", [RLOO(kl_coef=0.5), P3O(kl_coef=0.5), PPO(kl_coef=0.5)], ids=lambda m: m.name
)
def test_with_the_kl_in_the_reward_the_optimum_is_found(method, small):
    end = online_fixed_point(method, WORLD, seed=0)
    assert kl(end.logps, tilted(WORLD.log_reference, WORLD.rewards, 0.5)) < 0.005


def test_clipped_rewards_are_what_is_maximised(small):
    """Of r = min(r, ½): the optimum of these, and nothing is claimed of the rewards as they are."""
    method = RLOO(kl_coef=0.5, reward_clip=0.5)
    end = online_fixed_point(method, WORLD, seed=0)
    assert kl(end.logps, tilted(WORLD.log_reference, WORLD.rewards.clip(-0.5, 0.5), 0.5)) < 0.005
    setting = Setting(WORLD, Sampling(method.group_size, 1), WORLD.rewards)
    assert claim_of(method, setting) is None
    assert claim_of(RLOO(reward_scaling="running"), setting) is None
    assert claim_of(GRPO(entropy_coef=0.1), setting) is None
    assert claim_of(RLOO(kl_coef=0.5), setting) is not None


def test_with_an_entropy_bonus_the_optimum_is_wider(small):
    """E r − β KL(π‖π_ref) + c H(π) is largest at π ∝ e^{(r + β log π_ref)/(β + c)}.

    Unscaled GRPO's advantages are (K − 1)/K of their due, so that c counts K/(K − 1).
    """
    method = GRPO(kl_coef=0.5, kl="reward", scale_rewards="none", group_size=4, entropy_coef=0.3)
    end = online_fixed_point(method, WORLD, seed=0)
    both = 0.5 + 0.3 * 4 / 3
    expected = normalised((WORLD.rewards + 0.5 * WORLD.log_reference) / both)
    assert kl(end.logps, expected) < 0.005
    assert kl(end.logps, tilted(WORLD.log_reference, WORLD.rewards, 0.5)) > 0.05


def test_grpo_ends_where_the_forward_kl_does(small):
    """k3's gradient in the loss is that of KL(π_ref‖π): unscaled, π = β·π_ref/(λ − r), not π_ref·e^(r/β).

    A group's mean holds the response itself, so advantages are (K − 1)/K of their due: β counts K/(K − 1).
    """
    end = online_fixed_point(GRPO(kl_coef=0.5, scale_rewards="none", group_size=4), WORLD, seed=0)
    predicted = forward_optimum(WORLD.log_reference, WORLD.rewards, 0.5 * 4 / 3)
    assert total_variation(end.logps, predicted) < 0.01
    assert kl(end.logps, tilted(WORLD.log_reference, WORLD.rewards, 0.5)) > 0.05


def test_the_forward_optimum_by_hand():
    """π_ref = (½, ½), r = (1, 0), β = 1: ½/(λ−1) + ½/λ = 1 gives λ = 1.7071, π = (0.7071, 0.2929)."""
    found = np.exp(forward_optimum(np.log([[0.5, 0.5]]), np.array([[1.0, 0.0]]), 1.0))
    np.testing.assert_allclose(found, [[0.70710678, 0.29289322]], rtol=1e-6)


def test_the_forward_optimum_is_stationary():
    """r − β·d KL(base‖π)/dπ = r + β·base/π is the same for all responses."""
    base = normalised(np.random.default_rng(0).normal(size=(3, 6)))
    rewards = np.random.default_rng(1).normal(size=(3, 6))
    level = rewards + 0.3 * np.exp(base - forward_optimum(base, rewards, 0.3))
    np.testing.assert_allclose(level, level[:, :1] * np.ones(6), rtol=1e-6)


def test_popo_on_fresh_rollouts_is_grpo(small, monkeypatch):
    monkeypatch.setattr(rollouts, "STEPS", 40)
    ends = [online_fixed_point(method, WORLD, seed=0).logps for method in (GRPO(), POPO())]
    np.testing.assert_array_equal(*ends)


def test_the_verdict_and_what_is_told(small, monkeypatch):
    told = []
    found = verify_online("rloo", RLOO(), Questions(strengths=(0.5,)), told.append)
    assert [(c.data, c.strength, c.k) for c in told] == [("rollouts", 0.5, 4)]
    assert found.verdicts["rollouts"].text == "consistent: π_ref·e^(r/β), from K = 4"
    assert found.contract.coefficient_error is None
    assert found.contract.split_holds


def test_a_surrogate_that_is_no_sum_over_rollouts_is_found(small, monkeypatch):
    class Broken(RLOO):
        """Its loss is multiplied by the number of rows in the part."""

        def surrogate(self, batch):
            output = super().surrogate(batch)
            return type(output)(output.loss * len(batch.rollouts), output.logged)

    monkeypatch.setattr(rollouts, "STEPS", 4)
    assert not verify_online("broken", Broken(), Questions(strengths=(0.5,))).contract.split_holds
