"""BCO by hand: its threshold, its loss, its gradient."""

import dataclasses
import math

import pytest
import torch

from trainers.bco import BCO
from trainers.objective import Batch


def rows(log_ratios, desirable) -> Batch:
    ratios = torch.tensor(log_ratios, dtype=torch.float64)
    zeros = torch.zeros_like(ratios)
    return Batch(ratios.requires_grad_(), zeros, zeros + 5, zeros, desirable=torch.tensor(desirable))


def at(method: BCO, batch: Batch, statistic: float) -> float:
    return method.loss(dataclasses.replace(batch, statistic=torch.tensor(statistic))).loss.item()


def test_the_threshold_lies_between_the_two_kinds_however_many_there_are_of_each():
    """βD: desirable 2 and 4, undesirable −1: ½ (3 − 1) = 1."""
    batch = rows([4.0, 8.0, -2.0], [True, True, False])
    assert BCO(beta=0.5).statistic(batch).item() == pytest.approx(1.0)


def test_a_batch_of_one_kind_has_that_kinds_mean():
    assert BCO(beta=0.5).statistic(rows([4.0, 8.0], [True, True])).item() == pytest.approx(3.0)


def test_the_loss_by_hand():
    """δ = 0, βD = ln 3 and −ln 3, both right: −log ¾. With δ = ln 3: log 2 and log(10/9), halved."""
    batch = rows([math.log(3), -math.log(3)], [True, False])
    assert at(BCO(beta=1.0), batch, 0.0) == pytest.approx(math.log(4 / 3))
    assert at(BCO(beta=1.0), batch, math.log(3)) == pytest.approx((math.log(2) + math.log(10 / 9)) / 2)


def test_it_starts_at_ln_2_and_pushes_the_kinds_apart():
    batch = rows([0.0, 0.0], [True, False])
    assert at(BCO(), batch, 0.0) == pytest.approx(math.log(2))
    given = dataclasses.replace(batch, statistic=torch.tensor(0.0))
    assert BCO(beta=0.4).coefficient(given).tolist() == pytest.approx([0.2, -0.2])
