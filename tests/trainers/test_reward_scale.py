"""The running scale of rewards: by hand, and against the deviation of all that were seen."""

import numpy as np
import pytest
import torch

from trainers.reward_scale import RewardScale


def test_the_deviation_is_that_of_all_rewards_so_far():
    """However they are cut into iterations, and far from zero."""
    rewards = 1e6 + np.random.default_rng(0).normal(size=100)
    scale = RewardScale("running", clip=None)
    for part in np.split(rewards, [1, 2, 40, 41]):
        scale.add(part.tolist())
    assert scale.deviation == pytest.approx(rewards.std(ddof=1), rel=1e-6)


def test_by_hand():
    """1, 3 and 5 have the deviation 2: they become 0.5, 1.5 and 2.5, kept within 2."""
    scale = RewardScale("running", clip=2.0)
    scale.add([1.0, 3.0])
    scale.add([5.0])
    assert scale.apply(torch.tensor([1.0, 3.0, 5.0])).tolist() == [0.5, 1.5, 2.0]


@pytest.mark.parametrize("rewards", [[], [3.0], [3.0, 3.0], [0.1] * 3, [0.7] * 128, [1e9 + 0.1] * 7])
def test_rewards_without_a_deviation_stay_as_they_are(rewards: list[float]):
    """Nor does the rounding of their mean count as one."""
    scale = RewardScale("running", clip=None)
    for part in (rewards[:2], rewards[2:]):
        scale.add(part)
    assert scale.apply(torch.tensor([3.0])).tolist() == [3.0]


def test_the_log_has_the_deviation_where_rewards_are_scaled():
    scales = [RewardScale(how, None) for how in ("running", "none")]
    for scale in scales:
        scale.add([1.0, 3.0, 5.0])
    assert [scale.record() for scale in scales] == [{"reward_deviation": 2.0}, {}]


def test_without_scaling_only_the_clip_counts():
    scale = RewardScale("none", clip=1.0)
    scale.add([10.0, 20.0])
    assert scale.apply(torch.tensor([0.5, -7.0])).tolist() == [0.5, -1.0]


def test_a_restored_scale_goes_on_as_the_first():
    first, second = RewardScale("running", None), RewardScale("running", None)
    first.add([1.0, 2.0])
    second.load(first.state())
    for scale in (first, second):
        scale.add([7.0])
    assert second.state() == first.state()
