"""Estimators of log Z against hand-worked numbers and the algebra of methods."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from trainers.errors import UserError
from trainers.examples import Examples
from trainers.objective import Batch
from trainers.partition import group_logsumexp, group_sizes, log_partition
from trainers.rpo import RPO

LN2, LN3, LN4 = math.log(2), math.log(3), math.log(4)


def examples(rewards: list[float], groups: list[int], **columns: object) -> Examples:
    rows = len(rewards)
    return Examples(
        [[5]] * rows,
        [[6, 1]] * rows,
        np.array(rewards),
        np.array(groups),
        **columns,  # type: ignore[arg-type]
    )


def test_log_mean_exp_by_hand():
    """τ = ½, rewards ½ln2, ½ln4 in one group and 0 in another: e^{r/τ} = 2, 4 → mean 3; 1 → 1."""
    rows = examples([LN2 / 2, 0.0, LN4 / 2], [7, 9, 7])
    found = log_partition("log_mean_exp", rows, 0.5, np.zeros(3))
    np.testing.assert_allclose(found, [LN3, 0.0, LN3], atol=1e-12)


def test_leave_one_out_by_hand():
    """e^{r/τ} = 1, 2, 4: the others' means are 3, 2.5, 1.5."""
    rows = examples([0.0, LN2, LN4], [0, 0, 0])
    found = log_partition("leave_one_out", rows, 1.0, np.zeros(3))
    np.testing.assert_allclose(np.exp(found), [3.0, 2.5, 1.5], atol=1e-12)


def test_released_weights_by_the_reference():
    """τ = 1, e^{r} = 2, 4, mean log-probs ln ½ and ln ¼ (sums over 2 and 3 tokens): Ẑ = 1 + 1 = 2."""
    rows = examples([LN2, LN4], [0, 0])
    reference = np.array([-2 * LN2, -3 * LN4])
    found = log_partition("released", rows, 1.0, reference, np.array([2.0, 3.0]))
    np.testing.assert_allclose(found, [LN2, LN2], atol=1e-12)


def test_self_normalised_by_hand():
    """Weights π_ref/μ = 1 and 3, e^{r/τ} = 2 and 4: (2 + 12) / 4 = 3.5."""
    rows = examples([LN2, LN4], [0, 0], behaviour_logps=np.array([-1.0, -1.0 - LN3]))
    found = log_partition("self_normalised", rows, 1.0, np.array([-1.0, -1.0]))
    np.testing.assert_allclose(np.exp(found), [3.5, 3.5], atol=1e-12)


def test_reference_samples_by_hand():
    """Other samples of each prompt with e^{r/τ} = 1, 3 → mean 2 and 4 → 4, whatever the rows' own rewards."""
    other = {0: np.array([0.0, LN3]), 1: np.array([LN4])}
    rows = examples([5.0, -5.0], [0, 1], reference_rewards=other)
    np.testing.assert_allclose(np.exp(log_partition("reference_samples", rows, 1.0, np.zeros(2))), [2.0, 4.0])


def test_extreme_rewards_do_not_overflow():
    rows = examples([1000.0, -1000.0], [0, 0])
    found = log_partition("log_mean_exp", rows, 0.1, np.zeros(2))
    np.testing.assert_allclose(found, 10_000.0 - LN2)


def test_what_the_data_lacks_is_said():
    with pytest.raises(UserError, match="at least two responses"):
        log_partition("leave_one_out", examples([1.0, 2.0], [0, 1]), 1.0, np.zeros(2))
    with pytest.raises(UserError, match="behaviour_logp"):
        log_partition("self_normalised", examples([1.0], [0]), 1.0, np.zeros(1))
    with pytest.raises(UserError, match="reference_rewards"):
        log_partition("reference_samples", examples([1.0], [0]), 1.0, np.zeros(1))


def test_groups_need_not_lie_together():
    values, groups = np.array([0.0, 1.0, LN3]), np.array([4, -2, 4])
    np.testing.assert_allclose(np.exp(group_logsumexp(values, groups)), [4.0, math.e, 4.0])
    assert group_sizes(groups).tolist() == [2, 1, 2]


def rpo_batch(method: RPO, rows: Examples, policy: np.ndarray, reference: np.ndarray) -> Batch:
    lengths = np.array([len(response) for response in rows.responses], dtype=float)
    partition = method.log_partition(rows, reference, lengths)
    columns = (policy, reference, lengths, rows.rewards)
    policy_t, reference_t, lengths_t, reward_t = (torch.tensor(column) for column in columns)
    return Batch(policy_t, reference_t, lengths_t, reward_t, log_partition=torch.tensor(partition))


def test_released_rpo_ignores_the_reward_when_there_is_one_response_per_prompt():
    """K = 1: Ẑ = e^{l_ref + r/τ}, so (r − V̂)/τ = −l_ref and L = ½ l_θ², whatever the reward."""
    policy, reference = np.array([-4.0, -9.0, -1.5]), np.array([-5.0, -6.0, -2.0])
    for rewards in ([0.0, 0.0, 0.0], [3.0, -2.0, 0.7]):
        batch = rpo_batch(RPO.released(), examples(rewards, [0, 1, 2]), policy, reference)
        expected = 0.5 * np.mean((policy / 2) ** 2)
        assert RPO.released().loss(batch).loss.item() == pytest.approx(expected)


def test_consistent_rpo_keeps_the_policy_at_the_reference_when_there_is_one_response_per_prompt():
    """K = 1: Ẑ = e^{r/τ}, so the target is 0 and L = ½ D²: nothing is learnt, and nothing is forgotten."""
    policy, reference = np.array([-4.0, -9.0]), np.array([-5.0, -6.0])
    batch = rpo_batch(RPO(), examples([3.0, -2.0], [0, 1]), policy, reference)
    assert RPO().loss(batch).loss.item() == pytest.approx(0.5 * np.mean((policy - reference) ** 2))


def test_released_targets_put_all_mass_on_the_logged_responses():
    """At its minimum Σ_i e^{l_θ(y_i)} = 1 over the K logged responses of a prompt."""
    rng = np.random.default_rng(0)
    rows = examples(rng.normal(size=8).tolist(), [0] * 8)
    reference = rng.normal(size=8) - 6
    method = RPO.released()
    batch = rpo_batch(method, rows, reference, reference)
    assert batch.log_partition is not None
    target = batch.reward / method.tau - batch.log_partition  # of the mean log-ratio
    per_token = batch.reference_logps / batch.lengths + target
    assert per_token.exp().sum().item() == pytest.approx(1.0)


def test_shifting_a_prompts_rewards_leaves_every_estimators_target_alone():
    rng = np.random.default_rng(1)
    rewards = rng.normal(size=6)
    other = {0: rng.normal(size=5), 1: rng.normal(size=5)}
    groups = [0, 0, 0, 1, 1, 1]
    rows = examples(rewards.tolist(), groups, behaviour_logps=rng.normal(size=6) - 5, reference_rewards=other)
    shift = {0: 2.0, 1: -1.0}
    moved = dataclasses.replace(
        rows,
        rewards=rewards + np.array([shift[g] for g in groups]),
        reference_rewards={g: values + shift[g] for g, values in other.items()},
    )
    reference = rng.normal(size=6) - 5
    for estimator in ("released", "log_mean_exp", "leave_one_out", "reference_samples", "self_normalised"):
        target = rows.rewards / 0.7 - log_partition(estimator, rows, 0.7, reference)
        moved_target = moved.rewards / 0.7 - log_partition(estimator, moved, 0.7, reference)
        np.testing.assert_allclose(moved_target, target, atol=1e-9)
