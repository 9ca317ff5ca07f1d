"""The sampled oracle is held against exact enumeration in the tabular world, and its bias is told."""

import numpy as np
import pytest

from rpo_bench.analysis.oracle_report import bias_by_size, kl_grid, oracle_report, reward_by_kl
from rpo_bench.tabular.world import World, expectation, kl, make_world, tilted


def sampled(world: World, samples: int, seed: int = 0) -> np.ndarray:
    """Rewards of responses drawn from π_ref, (X, N)."""
    rng = np.random.default_rng(seed)
    chosen = [rng.choice(len(row), size=samples, p=np.exp(row)) for row in world.log_reference]
    return np.take_along_axis(world.rewards, np.stack(chosen), axis=1)


def exact(world: World, at: np.ndarray) -> np.ndarray:
    """The exact frontier by enumeration over all responses, (K,)."""
    policies = [tilted(world.log_reference, world.rewards, tau) for tau in np.geomspace(50, 0.05, 400)]
    nats = [kl(policy, world.log_reference) for policy in policies]
    return np.interp(at, nats, [expectation(policy, world.rewards) for policy in policies])


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(seed=1, prompts=30, responses=24)


def test_the_oracle_is_the_exact_optimum_of_the_tabular_world(world: World):
    at = np.array([0.25, 0.5, 1.0])
    found = reward_by_kl(sampled(world, 4096), at)
    assert found == pytest.approx(exact(world, at), abs=0.01)


def test_its_bias_is_downward_beyond_small_samples_and_shrinks(world: World):
    """The mean error over 40 draws at 1 nat, for 64, 256 and 1,024 samples: below 0, about as 1/N."""
    at = np.array([1.0])
    truth = exact(world, at)[0]
    errors = [
        np.mean([reward_by_kl(sampled(world, size, seed), at)[0] - truth for seed in range(draws)])
        for size, draws in ((64, 40), (256, 20), (1024, 10))
    ]
    assert errors[0] < -0.002
    assert abs(errors[1]) < abs(errors[0]) / 2
    assert abs(errors[2]) < 0.004


def test_the_bias_table_compares_disjoint_parts_with_the_whole(world: World):
    rewards = sampled(world, 1024)
    (half, one) = bias_by_size(rewards, np.array([0.5, 1.0]))
    assert half.samples == (256, 64)
    parts = [reward_by_kl(rewards[:, i : i + 64], np.array([0.5]))[0] for i in range(0, 1024, 64)]
    assert half.bias[1] == pytest.approx(np.mean(parts) - reward_by_kl(rewards, np.array([0.5]))[0])
    assert one.bias[1] < one.bias[0] < 0.003


def test_parts_that_end_early_say_so_and_small_samples_have_none(world: World):
    rewards = np.random.default_rng(0).normal(size=(20, 256))
    (point,) = bias_by_size(rewards, np.array([2.0]))
    assert (point.samples, point.bias) == ((64,), (None,))
    assert bias_by_size(rewards[:, :40], np.array([0.1]))[0].samples == ()


def test_the_report_has_the_curve_with_intervals_over_prompts(world: World):
    rewards = sampled(world, 512)
    report = oracle_report(
        rewards, [f"p{i}" for i in range(30)], task="t", model="m", source="s", resamples=300
    )
    assert report.points[0].reward.point == pytest.approx(rewards.mean())
    assert report.points[0].gain.low is None
    assert report.points[-1].kl == pytest.approx(report.end)
    assert all(one.trusted for one in report.points)
    gains = [one.gain.point for one in report.points]
    assert (np.diff(gains) > 0).all()
    last = report.points[-1]
    assert last.gain.low < last.gain.point < last.gain.high
    # Prompts differ in their mean reward, which the gain over the same prompts' reference leaves out.
    assert last.gain.high - last.gain.low < last.reward.high - last.reward.low
    assert [one.n for one in report.best_of][:3] == [1, 2, 3]


def test_rewards_that_are_all_equal_have_a_flat_oracle():
    report = oracle_report(np.ones((4, 64)), list("abcd"), task="t", model="m", source="s", resamples=100)
    assert report.end == 0.0
    assert [one.kl for one in report.points] == [0.0]
    assert report.points[0].reward.point == 1.0
    assert kl_grid(0.0).tolist() == [0.0]
