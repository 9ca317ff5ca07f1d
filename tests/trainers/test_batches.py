"""The batch plan: deterministic, complete, bucketed, with mismatched partners."""

import numpy as np
import pytest

from trainers.batches import padded_share, plan_batches
from trainers.errors import UserError


def rows(n: int = 96, k: int = 4) -> tuple[np.ndarray, np.ndarray]:
    return np.random.default_rng(0).integers(4, 60, size=n), np.repeat(np.arange(n // k), k)


def test_every_row_is_seen_once_an_epoch():
    lengths, groups = rows()
    plan = plan_batches(lengths, groups, steps=12, batch_size=8, seed=0)
    assert sorted(plan.batches.ravel().tolist()) == list(range(96))


def test_epochs_run_into_each_other_without_a_short_batch():
    lengths, groups = rows()
    plan = plan_batches(lengths, groups, steps=29, batch_size=10, seed=0)
    assert plan.batches.shape == (29, 10)
    counts = np.bincount(plan.batches.ravel(), minlength=96)
    assert set(counts.tolist()) == {3, 4} or set(counts.tolist()) == {3}


def test_the_plan_depends_on_the_seed_and_on_nothing_else():
    lengths, groups = rows()
    first = plan_batches(lengths, groups, 20, 8, seed=1)
    np.random.seed(5)
    assert plan_batches(lengths, groups, 20, 8, seed=1).hash == first.hash
    assert plan_batches(lengths, groups, 20, 8, seed=2).hash != first.hash


def test_partners_are_the_batchs_own_rows_with_other_prompts():
    lengths, groups = rows()
    plan = plan_batches(lengths, groups, 20, 16, seed=0)
    np.testing.assert_array_equal(np.sort(plan.partners, axis=1), np.sort(plan.batches, axis=1))
    assert (groups[plan.batches] == groups[plan.partners]).mean() < 0.01


def test_rows_of_similar_length_share_a_batch():
    lengths, groups = rows(960)
    bucketed = plan_batches(lengths, groups, 60, 16, seed=0)
    rng = np.random.default_rng(0)
    shuffled = type(bucketed)(rng.permutation(960).reshape(60, 16), bucketed.partners)
    assert padded_share(lengths, bucketed) > padded_share(lengths, shuffled) + 0.15


def test_fewer_rows_than_a_batch_holds():
    plan = plan_batches(np.array([3, 4, 5]), np.array([0, 1, 2]), steps=2, batch_size=64, seed=0)
    assert plan.batches.shape == (2, 3)
    with pytest.raises(UserError, match="at least two rows"):
        plan_batches(np.array([3]), np.array([0]), steps=2, batch_size=64, seed=0)


def test_small_data_is_not_sorted_across_epochs():
    """48 rows in batches of 48: every step sees every row, not the same short ones four times."""
    plan = plan_batches(np.arange(48) + 5, np.arange(48), steps=4, batch_size=48, seed=0)
    for batch in plan.batches:
        assert sorted(batch.tolist()) == list(range(48))
