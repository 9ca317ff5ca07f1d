"""The oracle is the exact optimum of a small world, and says where it can't be trusted."""

import itertools

import numpy as np
import pytest
from scipy.optimize import minimize

from rpo_bench.stats.oracle import best_of, default_taus, estimate_oracle, oracle_curve, reward_on


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def exact(reference: np.ndarray, rewards: np.ndarray, tau: float) -> tuple[float, float]:
    """KL and reward of π* by enumeration: reference and rewards are (P, Y) over all responses."""
    policy = reference * np.exp(rewards / tau)
    policy /= policy.sum(1, keepdims=True)
    kl = (policy * np.log(policy / reference)).sum(1).mean()
    return float(kl), float((policy * rewards).sum(1).mean())


def test_one_prompt_two_rewards_by_hand():
    """Rewards 0 and 1 at τ = 1: w = (1, e)/(1+e), reward .7311, KL = .7311 − log((1+e)/2) = .1110, and the
    effective sample size is 1/(.2689² + .7311²) = 1.648 of 2."""
    curve = oracle_curve(np.array([[0.0, 1.0]]), np.array([1.0]))
    assert curve.reward[0] == pytest.approx(0.73106, abs=1e-5)
    assert curve.kl[0] == pytest.approx(0.73106 - np.log((1 + np.e) / 2), abs=1e-5)
    assert curve.ess[0] == pytest.approx(1.6480 / 2, abs=1e-4)
    assert curve.samples == 2


def test_the_oracle_from_samples_is_the_exact_optimum_of_a_discrete_world(rng: np.random.Generator):
    reference = rng.dirichlet(np.ones(8), size=5)  # (P, Y)
    rewards = rng.normal(size=(5, 8))
    taus = np.array([np.inf, 2.0, 1.0, 0.5, 0.3])
    drawn = np.stack([rng.choice(8, size=100_000, p=row) for row in reference])
    sampled = np.take_along_axis(rewards, drawn, axis=1)  # (P, N)
    curve = oracle_curve(sampled, taus)
    for index, tau in enumerate(taus):
        kl, reward = exact(reference, rewards, tau)
        assert curve.kl[index] == pytest.approx(kl, abs=0.02)
        assert curve.reward[index] == pytest.approx(reward, abs=0.02)
    assert curve.kl[0] == pytest.approx(0, abs=1e-9)
    assert curve.ess[0] == pytest.approx(1)
    assert (np.diff(curve.kl) > 0).all()
    assert (np.diff(curve.reward) > 0).all()
    assert (np.diff(curve.ess) < 0).all()


def test_equal_weights_are_an_exact_reference_and_no_policy_beats_the_oracle(rng: np.random.Generator):
    """A uniform reference over Y responses is its own sample: the curve is exact, and optimising the softmax
    policy numerically for E r − τ KL over both prompts finds no more."""
    rewards, tau = rng.normal(size=(2, 4)), 0.7
    curve = oracle_curve(rewards, np.array([tau]))
    kl, reward = exact(np.full((2, 4), 0.25), rewards, tau)
    assert (curve.kl[0], curve.reward[0]) == pytest.approx((kl, reward), abs=1e-12)

    def negative_objective(logits: np.ndarray) -> float:
        policy = np.exp(logits.reshape(2, 4))
        policy /= policy.sum(1, keepdims=True)
        return -float(((policy * rewards).sum(1) - tau * (policy * np.log(4 * policy)).sum(1)).mean())

    best = min(minimize(negative_objective, rng.normal(size=8)).fun for _ in range(3))
    assert -best == pytest.approx(curve.reward[0] - tau * curve.kl[0], abs=1e-6)


def test_the_end_of_the_oracle_is_where_few_samples_carry_it(rng: np.random.Generator):
    rewards = rng.normal(size=(20, 256))
    curve = oracle_curve(rewards, default_taus(rewards))
    honest = curve.trustworthy()
    assert 0 < len(honest.kl) < len(curve.kl)
    assert (honest.ess * 256 >= 10).all()
    assert curve.kl[-1] == pytest.approx(np.log(256), abs=0.05)  # one sample left: the estimate's ceiling
    assert honest.kl[-1] < np.log(256 / 10) + 0.5
    # Normal rewards have the exact frontier r = √(2 KL); the honest part keeps to it.
    np.testing.assert_allclose(honest.reward, np.sqrt(2 * honest.kl), atol=0.12)
    assert len(curve.trustworthy(257).kl) == 0


def test_extreme_strengths_and_equal_rewards_stay_finite():
    curve = oracle_curve(np.array([[1e6, -1e6, 1e6]]), np.array([1e-9, 1e9]))
    assert curve.reward[0] == 1e6
    assert curve.kl[0] == pytest.approx(np.log(3 / 2))
    flat = oracle_curve(np.full((3, 5), 2.0), default_taus(np.full((3, 5), 2.0)))
    np.testing.assert_allclose(flat.reward, 2)
    np.testing.assert_allclose(flat.kl, 0, atol=1e-12)


def test_best_of_n_is_the_mean_over_all_subsets(rng: np.random.Generator):
    rewards = rng.normal(size=(3, 6))
    for n in (1, 2, 4, 6):
        subsets = list(itertools.combinations(range(6), n))
        brute = np.mean([rewards[:, list(subset)].max(1) for subset in subsets], axis=0)
        assert best_of(rewards, n) == pytest.approx(brute)
    assert np.isfinite(best_of(rng.normal(size=(2, 4000)), 64)).all()


def test_the_oracle_is_above_best_of_n_at_equal_kl(rng: np.random.Generator):
    """Best of 2 is at log 2 − ½ nats at most, best of 4 at log 4 − ¾."""
    found = estimate_oracle(rng.normal(size=(50, 2000)), tuple(map(str, range(50))))
    assert found.best_of_kl[:2] == pytest.approx([0.0, np.log(2) - 0.5])
    inside = found.best_of_kl <= found.end
    assert inside.sum() > 5
    oracle = np.interp(found.best_of_kl[inside], found.kl.mean(0), found.reward.mean(0))
    assert (oracle >= found.best_of_reward.mean(0)[inside] - 1e-12).all()


def test_interpolation_on_the_oracle_is_by_straight_lines_and_flat_beyond_the_ends():
    x, y = np.array([[0.0, 1.0, 3.0]] * 4), np.array([[0.0, 2.0, 4.0]] * 4)
    assert reward_on(x, y, np.array([-1.0, 0.5, 2.0, 9.0])).tolist() == [0.0, 1.0, 3.0, 4.0]


def test_interpolation_survives_points_of_equal_place():
    found = reward_on(np.array([[0.0, 1.0, 1.0]]), np.array([[0.0, 2.0, 4.0]]), np.array([1.0]))
    assert found.tolist() == [4.0]
