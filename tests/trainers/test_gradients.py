"""Gradients in units of their own: the first one's norm is 1, outliers are clipped at recent norms."""

import math

import pytest
import torch

from trainers.gradients import MULTIPLE, GradientScale, GradientScales


def step(scale: GradientScale, norm: float) -> float:
    """The norm that a gradient of a norm has after scaling."""
    weight = torch.nn.Parameter(torch.zeros(2))
    weight.grad = torch.tensor([0.6, 0.8]) * norm
    assert scale.apply([weight]) == pytest.approx(norm)
    return float(weight.grad.norm())


def test_the_first_gradient_is_the_unit():
    scale = GradientScale("relative", 1.0)
    assert [step(scale, n) for n in (4.0, 2.0, 8.0)] == pytest.approx([1.0, 0.5, 2.0])


def test_a_gradient_of_zero_is_no_unit():
    scale = GradientScale("relative", 1.0)
    assert [step(scale, n) for n in (0.0, 5.0, 10.0)] == pytest.approx([0.0, 1.0, 2.0])


def test_an_outlier_is_clipped_at_a_multiple_of_the_median_of_recent_norms():
    scale = GradientScale("relative", 1.0)
    for norm in (1.0, 2.0) * 10:
        step(scale, norm)
    assert step(scale, 100.0) == pytest.approx(MULTIPLE * 1.5)
    assert scale.clipped == 1
    assert scale.clipped_share == pytest.approx(1 / 21)


def test_steps_without_a_gradient_stop_no_later_one():
    """Groups that are all rewarded alike give exact zeros, often for many iterations."""
    scale = GradientScale("relative", 1.0)
    norms = [step(scale, n) for n in [0.0] * 30 + [2.0] + [0.0] * 30 + [4.0]]
    assert [n for n in norms if n] == pytest.approx([1.0, 2.0])
    assert scale.clipped == 0
    assert scale.steps == 62


def test_nothing_is_clipped_before_there_are_norms_to_compare_with():
    scale = GradientScale("relative", 1.0)
    assert [step(scale, 10.0**n) for n in range(10)] == pytest.approx([10.0**n for n in range(10)])
    assert scale.clipped == 0


def test_norms_that_grow_for_good_are_followed():
    """Fifty large ones are the recent ones: a method isn't held at the size that it had."""
    scale = GradientScale("relative", 1.0)
    for norm in [1.0] * 50 + [100.0] * 50:
        last = step(scale, norm)
    assert last == pytest.approx(100.0)
    assert 20 < scale.clipped < 30


def test_without_clipping_nothing_is_clipped():
    scale = GradientScale("none", 1.0)
    for norm in [1.0] * 20:
        step(scale, norm)
    assert step(scale, 1e6) == pytest.approx(1e6)
    assert scale.clipped == 0


def test_absolute_clipping_is_torchs_and_leaves_the_unit():
    scale = GradientScale("absolute", 2.0)
    assert step(scale, 0.5) == 0.5
    assert step(scale, 10.0) == pytest.approx(2.0, abs=1e-5)
    assert scale.clipped_share == 0.5


@pytest.mark.parametrize("clipping", ["relative", "none"])
def test_a_constant_factor_is_gone(clipping):
    norms = [3.0, 1.0, 2.0, 0.5] * 5 + [50.0]
    one, other = GradientScale(clipping, 1.0), GradientScale(clipping, 1.0)
    assert [step(one, n) for n in norms] == pytest.approx([step(other, n * 1e-4) for n in norms])
    assert one.clipped == other.clipped


@pytest.mark.parametrize("norm", [math.inf, math.nan])
def test_a_gradient_that_is_not_finite_is_told_and_not_remembered(norm):
    scale = GradientScale("relative", 1.0)
    weight = torch.nn.Parameter(torch.zeros(2))
    weight.grad = torch.tensor([norm, 1.0])
    assert not math.isfinite(scale.apply([weight]))
    assert step(scale, 4.0) == pytest.approx(1.0)


def test_its_state_goes_on_where_it_was():
    whole = GradientScales("relative", 1.0)
    for norm in (1.0, 3.0) * 10:
        step(whole.policy, norm)
        step(whole.value, 7 * norm)
    resumed = GradientScales("relative", 1.0)
    resumed.load(whole.state())
    for scales in ("policy", "value"):
        assert step(getattr(resumed, scales), 90.0) == step(getattr(whole, scales), 90.0)
    assert resumed.state() == whole.state()


def test_policy_and_value_network_have_units_of_their_own():
    scales = GradientScales("relative", 1.0)
    policy, value = torch.nn.Parameter(torch.zeros(1)), torch.nn.Parameter(torch.zeros(1))
    policy.grad, value.grad = torch.tensor([100.0]), torch.tensor([0.01])
    logged = scales.apply([policy], [value])
    assert logged == pytest.approx({"grad_norm": 100.0, "value_grad_norm": 0.01, "clipped": 0.0})
    assert (float(policy.grad), float(value.grad)) == pytest.approx((1.0, 1.0))
