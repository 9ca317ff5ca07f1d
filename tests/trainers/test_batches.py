"""The batch plan: deterministic, complete, drawn at random whatever rows hold, with mismatched partners."""

import numpy as np
import pytest

from trainers.batches import plan_batches, plan_batches_by_length


def rows(n: int = 96, k: int = 4) -> tuple[np.ndarray, np.ndarray]:
    return np.random.default_rng(0).integers(4, 60, size=n), np.repeat(np.arange(n // k), k)


@pytest.fixture(params=["uniform", "by_length"])
def planned(request: pytest.FixtureRequest):
    """Both ways to draw batches."""

    def plan(lengths, groups, steps, batch_size, seed):
        if request.param == "uniform":
            return plan_batches(groups, steps, batch_size, seed)
        return plan_batches_by_length(lengths, groups, steps, batch_size, seed)

    return plan


def test_every_row_is_seen_once_an_epoch(planned):
    plan = planned(*rows(), steps=12, batch_size=8, seed=0)
    assert sorted(plan.batches.ravel().tolist()) == list(range(96))


def test_epochs_run_into_each_other_without_a_short_batch(planned):
    plan = planned(*rows(), steps=29, batch_size=10, seed=0)
    assert plan.batches.shape == (29, 10)
    counts = np.bincount(plan.batches.ravel(), minlength=96)
    assert set(counts.tolist()) == {3, 4} or set(counts.tolist()) == {3}


def test_the_plan_depends_on_the_seed_and_on_nothing_else(planned):
    first = planned(*rows(), 20, 8, seed=1)
    np.random.seed(5)
    assert planned(*rows(), 20, 8, seed=1).hash == first.hash
    assert planned(*rows(), 20, 8, seed=2).hash != first.hash


def test_partners_are_the_batchs_own_rows_with_other_prompts(planned):
    lengths, groups = rows()
    plan = planned(lengths, groups, 20, 16, seed=0)
    np.testing.assert_array_equal(np.sort(plan.partners, axis=1), np.sort(plan.batches, axis=1))
    assert (groups[plan.batches] == groups[plan.partners]).mean() < 0.01


def test_fewer_rows_than_a_batch_holds(planned):
    plan = planned(np.array([3, 4, 5]), np.array([0, 1, 2]), steps=2, batch_size=64, seed=0)
    assert plan.batches.shape == (2, 3)
    alone = planned(np.array([3]), np.array([0]), steps=2, batch_size=64, seed=0)
    assert alone.batches.tolist() == alone.partners.tolist() == [[0], [0]]


def test_small_data_is_not_sorted_across_epochs(planned):
    """48 rows in batches of 48: every step sees every row, not the same short ones four times."""
    plan = planned(np.arange(48) + 5, np.arange(48), steps=4, batch_size=48, seed=0)
    for batch in plan.batches:
        assert sorted(batch.tolist()) == list(range(48))


def spread(numbers: np.ndarray, batches: np.ndarray) -> float:
    """Variance of the batches' means over that of independent draws."""
    return float(numbers[batches].mean(axis=1).var() / (numbers.var() / batches.shape[1]))


@pytest.mark.parametrize("seed", range(3))
def test_means_of_batches_vary_as_those_of_random_draws_do(seed):
    """Of lengths, rewards or whatever else rows hold: 960 means have a variance within 4.5 % (1 sd) of it."""
    lengths, groups = rows(1920)
    batches = plan_batches(groups, 960, 16, seed).batches
    rewards = np.random.default_rng(1).standard_normal(1920) + lengths / 10
    assert 0.8 < spread(lengths, batches) < 1.2
    assert 0.8 < spread(rewards, batches) < 1.2


def test_version_0_1_sorted_batches_by_length():
    """What biased its results, and what its records are made again by."""
    lengths, groups = rows(1920)
    assert spread(lengths, plan_batches_by_length(lengths, groups, 960, 16, seed=0).batches) > 8
