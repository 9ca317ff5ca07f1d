"""Advantages and surrogates against plain Python and hand-worked numbers."""

import math
import statistics

import pytest
import torch

from trainers.advantages import (
    degenerate_groups,
    generalised_advantages,
    group_advantages,
    leave_one_out_advantages,
    whiten,
)
from trainers.surrogate import aggregate, clipped, clipped_surrogate, k3

REWARDS = torch.tensor([1.0, 3.0, 2.0, 5.0, 5.0, 5.0])
GROUPS = torch.tensor([0, 0, 0, 1, 1, 1])


def test_group_advantages_in_plain_python():
    """Group 0: mean 2, deviation 1: (−1, 1, 0)/(1 + 1e-4); group 1 has no variance: 0."""
    found = group_advantages(REWARDS, GROUPS)
    deviation = statistics.stdev([1, 3, 2])
    expected = [(r - 2) / (deviation + 1e-4) for r in (1, 3, 2)] + [0.0] * 3
    assert found.tolist() == pytest.approx(expected)
    assert group_advantages(REWARDS, GROUPS, "none").tolist() == [-1, 1, 0, 0, 0, 0]


def test_leave_one_out_advantages_in_plain_python():
    """r − mean of the others: 1 − 2.5, 3 − 1.5, 2 − 2; then zeros."""
    assert leave_one_out_advantages(REWARDS, GROUPS).tolist() == pytest.approx([-1.5, 1.5, 0, 0, 0, 0])
    assert leave_one_out_advantages(torch.tensor([4.0]), torch.tensor([0])).tolist() == [0.0]


def test_advantages_do_not_see_a_shift_of_a_prompts_rewards():
    shifted = REWARDS + torch.tensor([10.0, 10.0, 10.0, -3.0, -3.0, -3.0])
    torch.testing.assert_close(
        group_advantages(shifted, GROUPS), group_advantages(REWARDS, GROUPS), atol=1e-5, rtol=1e-5
    )
    torch.testing.assert_close(
        leave_one_out_advantages(shifted, GROUPS), leave_one_out_advantages(REWARDS, GROUPS)
    )


def test_degenerate_groups_are_those_with_equal_rewards():
    assert degenerate_groups(REWARDS, GROUPS).tolist() == [False] * 3 + [True] * 3


@pytest.mark.parametrize("reward", [0.7, 10.1, -1234.5])
def test_equal_rewards_teach_nothing_whatever_their_last_digit(reward: float):
    """0.7 eight times has a mean of 0.7 − 6e-8 in float32, which is no difference in reward."""
    rewards, groups = torch.full((8,), reward), torch.zeros(8, dtype=torch.long)
    assert degenerate_groups(rewards, groups).all()
    assert group_advantages(rewards, groups).tolist() == [0.0] * 8


def gae_in_plain_python(rewards: list[float], values: list[float], gamma: float, lam: float) -> list[float]:
    deltas = [
        r + gamma * (values[t + 1] if t + 1 < len(values) else 0.0) - values[t] for t, r in enumerate(rewards)
    ]
    return [
        sum((gamma * lam) ** k * deltas[t + k] for k in range(len(deltas) - t)) for t in range(len(deltas))
    ]


def test_gae_in_plain_python_with_ragged_rows():
    rewards = torch.tensor([[0.1, -0.2, 1.0, 0.0], [0.5, 2.0, 0.0, 0.0]])
    values = torch.tensor([[0.3, 0.2, -0.1, 9.0], [1.0, 0.4, 9.0, 9.0]])  # 9: beyond the end
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])
    found = generalised_advantages(rewards, values, mask, gamma=0.9, lam=0.8)
    for row, length in ((0, 3), (1, 2)):
        expected = gae_in_plain_python(
            rewards[row, :length].tolist(), values[row, :length].tolist(), 0.9, 0.8
        )
        assert found[row, :length].tolist() == pytest.approx(expected, abs=1e-6)
        assert found[row, length:].tolist() == [0.0] * (4 - length)


def test_gae_at_lambda_one_is_the_return_minus_the_value():
    rewards, values = torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor([[0.2, 0.5, 0.9]])
    found = generalised_advantages(rewards, values, torch.ones(1, 3, dtype=torch.bool), 1.0, 1.0)
    assert found[0].tolist() == pytest.approx([0.8, 0.5, 0.1])


def test_whitening_reads_the_mask_only():
    mask = torch.tensor([[True, True], [True, False]])
    white = whiten(torch.tensor([[1.0, 2.0], [3.0, 100.0]]), mask)
    assert white[mask].mean().item() == pytest.approx(0.0, abs=1e-6)
    assert white[mask].var(unbiased=False).item() == pytest.approx(1.0, abs=1e-5)
    assert white[1, 1] == 0


def test_the_clip_by_hand():
    """ε = 0.2. ρ = 1.5: A = 1 gives 1.2, A = −1 gives −1.5; ρ = 0.5: A = 1 gives 0.5, A = −1 gives −0.8."""
    ratio, advantage = torch.tensor([1.5, 1.5, 0.5, 0.5]), torch.tensor([1.0, -1.0, 1.0, -1.0])
    assert clipped_surrogate(ratio, advantage, 0.2, 0.2).tolist() == pytest.approx([1.2, -1.5, 0.5, -0.8])
    assert clipped(ratio, advantage, 0.2, 0.2).tolist() == [1, 0, 0, 1]


def test_k3_by_hand_and_never_negative():
    """π_ref/π = 2: 2 − ln 2 − 1; equal: 0."""
    found = k3(torch.tensor([-1.0, -1.0]), torch.tensor([-1.0 + math.log(2), -1.0]))
    assert found.tolist() == pytest.approx([1 - math.log(2), 0.0])


def test_k3_is_unbiased_for_the_kl():
    """Over an enumerable distribution Σ π k3 = Σ π log π/π_ref."""
    policy = torch.tensor([0.2, 0.3, 0.5]).log()
    reference = torch.tensor([0.6, 0.3, 0.1]).log()
    exact = (policy.exp() * (policy - reference)).sum()
    torch.testing.assert_close((policy.exp() * k3(policy, reference)).sum(), exact)


def test_the_three_ways_of_averaging_by_hand():
    """Rows (1, 3) and (5): means 2 and 5 → 3.5; over tokens 9/3 = 3; over a constant 4: 9/8."""
    values, mask = torch.tensor([[1.0, 3.0], [5.0, 7.0]]), torch.tensor([[True, True], [True, False]])
    assert aggregate(values, mask, "sequence_mean", 2, 3, 4).item() == pytest.approx(3.5)
    assert aggregate(values, mask, "token_mean", 2, 3, 4).item() == pytest.approx(3.0)
    assert aggregate(values, mask, "constant", 2, 3, 4).item() == pytest.approx(9 / 8)
