"""The table's world: what is known of it in closed form, and that its logs hold what they say."""

import dataclasses

import numpy as np
import pytest

from rpo_bench.tabular.claims import Setting
from rpo_bench.tabular.logged import REPEATS, Sampling, cells, log_responses, whole_groups
from rpo_bench.tabular.world import (
    GRAIN,
    best_of,
    expectation,
    kl,
    make_world,
    normalised,
    tilted,
    total_variation,
)
from rpo_bench.tabular.yardsticks import regret_at_equal_kl, resembles

WORLD = make_world(0)


def test_a_world_follows_from_its_seed():
    again, other = make_world(0), make_world(1)
    np.testing.assert_array_equal(WORLD.rewards, again.rewards)
    assert not np.array_equal(WORLD.rewards, other.rewards)


def test_policies_are_whole_multiples_of_the_grain_and_rewards_are_scaled():
    for counts in (WORLD.reference_counts, WORLD.behaviour_counts):
        assert counts.min() >= 1
        assert (counts.sum(axis=1) == GRAIN).all()
    mean = expectation(WORLD.log_reference, WORLD.rewards)
    assert mean == pytest.approx(0)
    assert expectation(WORLD.log_reference, (WORLD.rewards - mean) ** 2) == pytest.approx(1)


def test_kl_and_total_variation_by_hand():
    """p = (¾, ¼), q = (½, ½): KL = ¾ ln 1.5 + ¼ ln ½ = 0.1308; TV = ½(¼ + ¼) = ¼. A p of 0 adds nothing."""
    p, q = np.log([[0.75, 0.25]]), np.log([[0.5, 0.5]])
    assert kl(p, q) == pytest.approx(0.75 * np.log(1.5) + 0.25 * np.log(0.5))
    assert total_variation(p, q) == pytest.approx(0.25)
    assert kl(np.array([[0.0, -np.inf]]), q) == pytest.approx(np.log(2))


@pytest.mark.parametrize("tau", [1.0, 0.3])
def test_what_a_policy_lacks_to_the_optimum_is_tau_times_its_kl(tau: float):
    """J(π*) − J(π) = τ KL(π‖π*) for J = E r − τ KL(π‖π_ref), whatever π is."""
    best = tilted(WORLD.log_reference, WORLD.rewards, tau)
    other = normalised(np.random.default_rng(0).normal(size=best.shape))

    def objective(policy: np.ndarray) -> float:
        return expectation(policy, WORLD.rewards) - tau * kl(policy, WORLD.log_reference)

    assert objective(best) - objective(other) == pytest.approx(tau * kl(other, best))


def test_best_of_k_by_hand():
    """Rewards 1 < 2 < 3 with chances ½, ¼, ¼: best of 2 is 1 with ¼, 2 with 9/16 − 4/16, 3 with 7/16."""
    policy = np.exp(best_of(2, np.log([[0.25, 0.5, 0.25]]), np.array([[2.0, 1.0, 3.0]])))
    np.testing.assert_allclose(policy, [[5 / 16, 4 / 16, 7 / 16]])


def test_the_optimum_loses_nothing_at_its_own_kl_and_others_do():
    assert regret_at_equal_kl(WORLD, tilted(WORLD.log_reference, WORLD.rewards, 0.4)) == pytest.approx(0)
    assert regret_at_equal_kl(WORLD, WORLD.log_reference) == pytest.approx(0, abs=1e-3)
    worst = tilted(WORLD.log_reference, -WORLD.rewards, 0.4)
    gained = expectation(WORLD.log_reference, WORLD.rewards) - expectation(worst, WORLD.rewards)
    assert regret_at_equal_kl(WORLD, worst) > gained > 0


def test_a_known_policy_is_called_by_its_name():
    setting = Setting(WORLD, Sampling(4, 16, off_policy=True), WORLD.rewards)
    for policy, name in (
        (WORLD.log_behaviour, "μ"),
        (tilted(WORLD.log_reference, WORLD.rewards, 0.77), "π_ref·e^(r/0.77)"),
        (tilted(WORLD.log_behaviour, WORLD.rewards, 0.5), "μ·e^(r/0.5)"),
        (best_of(4, WORLD.log_behaviour, WORLD.rewards), "best of 4 logged responses"),
    ):
        found = resembles(setting, None, policy, 0.5)
        assert (found.name, found.distance) == (name, pytest.approx(0, abs=1e-4))


@pytest.mark.parametrize("off_policy", [False, True])
def test_a_log_holds_every_response_as_often_as_it_is_likely(off_policy: bool):
    sampling = Sampling(k=4, groups=whole_groups(4, 256), off_policy=off_policy)
    examples = log_responses(WORLD, sampling, seed=3)
    xs, ys = cells(examples)
    counts = np.zeros_like(WORLD.reference_counts)
    np.add.at(counts, (xs, ys), 1)
    writer = WORLD.behaviour_counts if off_policy else WORLD.reference_counts
    np.testing.assert_array_equal(counts, writer * 256 // GRAIN)
    np.testing.assert_array_equal(examples.rewards, WORLD.rewards[xs, ys])
    np.testing.assert_allclose(examples.behaviour_logps, np.log(writer / GRAIN)[xs, ys])
    assert [len(response) for response in examples.responses] == WORLD.lengths[xs, ys].tolist()
    assert (np.bincount(examples.groups) == 4).all()
    assert {len(rewards) for rewards in examples.reference_rewards.values()} == {4}


def test_comparing_noisy_rewards_gives_bradley_terry_preferences():
    """P(1 beats 2) = σ((r_1 − r_2)/noise): two responses a reward of 1 apart, noise ½, σ(2) = 0.881."""
    world = dataclasses.replace(
        WORLD,
        reference_counts=np.array([[32, 32]]),
        behaviour_counts=np.array([[32, 32]]),
        rewards=np.array([[0.0, 1.0]]),
        lengths=np.array([[1, 1]]),
    )
    examples = log_responses(world, Sampling(k=2, groups=whole_groups(2, 1024), noise=0.5), seed=0)
    _, ys = cells(examples)
    ys, rewards = ys.reshape(-1, 2), examples.rewards.reshape(-1, 2)
    assert len(ys) == 512 * REPEATS
    mixed = ys[:, 0] != ys[:, 1]
    won = (rewards[:, 1] > rewards[:, 0]) == (ys[:, 1] == 1)
    assert won[mixed].mean() == pytest.approx(1 / (1 + np.exp(-2)), abs=0.01)
    assert rewards[ys == 0].mean() == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize(("k", "rows", "groups"), [(1, 100, 128), (4, 256, 64), (3, 1, 64), (128, 1, 1)])
def test_groups_fill_the_grain(k: int, rows: int, groups: int):
    assert whole_groups(k, rows) == groups
    assert k * groups % GRAIN == 0
