"""The losses against numbers worked by hand, and their gradients against the declared coefficient."""

import dataclasses
import math

import pytest
import torch

from trainers.a_star_po import AStarPO
from trainers.bco import BCO
from trainers.dro import DRO
from trainers.kto import KTO, kto_loss
from trainers.objective import Batch, Need, OfflineMethod
from trainers.qrpo import QRPO, beta_log_partition
from trainers.rebel import REBEL
from trainers.rpo import RPO
from trainers.sft import SFT
from trainers.squared import squared_loss
from trainers.una import UNA

METHODS: list[OfflineMethod] = [
    SFT(),
    KTO(beta=0.3, weight_d=1.2, weight_u=0.8),
    DRO(tau=0.7),
    DRO(tau=0.7, baseline="batch_mean"),
    RPO(tau=0.4),
    RPO(tau=0.4, logp="mean"),
    RPO.released(),
    UNA(tau=0.4),
    AStarPO(tau=0.4, value_tau=0.7),
    QRPO(tau=0.3),
    QRPO(tau=0.3, transform="log"),
    REBEL(tau=0.6),
    BCO(beta=0.3),
]


def random_batch(rows: int = 6, seed: int = 0, requires_grad: bool = True) -> Batch:
    generator = torch.Generator().manual_seed(seed)

    def draw() -> torch.Tensor:
        return torch.randn(rows, generator=generator, dtype=torch.float64)

    return Batch(
        policy_logps=(draw() - 9).requires_grad_(requires_grad),
        reference_logps=draw() - 9,
        lengths=torch.tensor([3.0, 5.0, 2.0, 7.0, 4.0, 6.0], dtype=torch.float64)[:rows],
        reward=draw(),
        desirable=torch.tensor([True, False, True, True, False, False])[:rows],
        log_partition=draw(),
        value=draw(),
        partner_log_ratio=draw().abs(),
    )


def with_statistic(method: OfflineMethod, batch: Batch) -> Batch:
    return dataclasses.replace(batch, statistic=method.statistic(batch))


def test_squared_loss_by_hand():
    """r − V − τD with r = (1, 0), V = (0.5, −0.5), τ = 2, D = (0.25, −0.5): residuals 0, 1.5.

    Mean of ½ u²: (0 + 1.125) / 2 = 0.5625; with scale 1/τ² = ¼: 0.140625.
    """
    log_ratio, reward = torch.tensor([0.25, -0.5]), torch.tensor([1.0, 0.0])
    value = torch.tensor([0.5, -0.5])
    assert squared_loss(log_ratio, reward, value, 2.0).item() == pytest.approx(0.5625)
    assert squared_loss(log_ratio, reward, value, 2.0, 0.25).item() == pytest.approx(0.140625)


def test_kto_by_hand():
    """β = 1, z0 = ½, D = (½, ½ + ln 3): desirable v = σ(0) = ½; undesirable v = σ(−ln 3) = ¼.

    With λ_D = 1, λ_U = 2: mean of 1·(1 − ½) and 2·(1 − ¼) = (0.5 + 1.5) / 2 = 1.
    """
    log_ratio = torch.tensor([0.5, 0.5 + math.log(3)])
    loss = kto_loss(log_ratio, torch.tensor([True, False]), torch.tensor(0.5), 1.0, 1.0, 2.0)
    assert loss.item() == pytest.approx(1.0)


def test_kto_starts_at_half_the_weights():
    """At step 0 every D is 0 and z0 is 0, so each row costs λ/2."""
    zeros = torch.zeros(4)
    desirable = torch.tensor([True, True, False, False])
    assert kto_loss(zeros, desirable, torch.tensor(0.0), 0.1, 1.0, 3.0).item() == pytest.approx(1.0)


def test_kto_reference_point_is_the_clamped_mean_of_the_mismatched_pairs():
    batch = random_batch()
    above = dataclasses.replace(batch, partner_log_ratio=torch.tensor([1.0, 3.0]))
    below = dataclasses.replace(batch, partner_log_ratio=torch.tensor([-1.0, -3.0]))
    assert KTO().statistic(above).item() == 2.0
    assert KTO().statistic(below).item() == 0.0


def test_dro_v_by_hand():
    """τ = ½, r = 1, V = 0.2, D = 0.4: u = 1 − 0.2 − 0.2 = 0.6.

    Policy loss u²/2/τ = 0.36, value loss u²/2 = 0.18; ∂/∂log π = −u = −0.6, ∂/∂V = −u = −0.6.
    """
    policy = torch.tensor([-1.6], requires_grad=True)
    value = torch.tensor([0.2], requires_grad=True)
    batch = Batch(policy, torch.tensor([-2.0]), torch.ones(1), torch.tensor([1.0]), value=value)
    output = DRO(tau=0.5).loss(batch)
    output.loss.backward()
    assert output.loss.item() == pytest.approx(0.54)
    assert policy.grad.item() == pytest.approx(-0.6)
    assert value.grad.item() == pytest.approx(-0.6)


def test_dro_p_is_half_the_variance_over_tau():
    batch = random_batch()
    method = DRO(tau=0.7, baseline="batch_mean")
    u = batch.reward - 0.7 * batch.log_ratio
    loss = method.loss(with_statistic(method, batch)).loss
    assert loss.item() == pytest.approx((0.5 * u.var(unbiased=False) / 0.7).item())


def test_rpo_by_hand():
    """τ = ½, r = 1, log Ẑ = 1: V̂ = ½, target (r − V̂)/τ = 1; D = 0.2: loss ½·0.8² = 0.32, −∂/∂log π = 0.8."""
    policy = torch.tensor([-1.8], requires_grad=True)
    batch = Batch(
        policy, torch.tensor([-2.0]), torch.ones(1), torch.tensor([1.0]), log_partition=torch.tensor([1.0])
    )
    output = RPO(tau=0.5).loss(batch)
    output.loss.backward()
    assert output.loss.item() == pytest.approx(0.32)
    assert policy.grad.item() == pytest.approx(-0.8)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: f"{method.name}-{method}")
def test_autograd_gives_the_declared_coefficient(method: OfflineMethod):
    """−∂loss/∂log π(y_i) = GC_i / U for every row, U the number of rows, or of pairs."""
    batch = with_statistic(method, random_batch())
    method.loss(batch).loss.backward()
    units = len(batch.reward) // (2 if Need.PAIR in method.needs else 1)
    declared = method.coefficient(batch) / units
    torch.testing.assert_close(-batch.policy_logps.grad, declared)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: f"{method.name}-{method}")
def test_the_loss_is_the_weighted_mean_of_its_micro_batches(method: OfflineMethod):
    """With the statistic given, splitting 6 rows (3 pairs) into 2 units and the rest changes nothing."""
    index = torch.arange(6)
    whole = with_statistic(method, random_batch(requires_grad=False))

    def part(first: slice) -> Batch:
        rows = index[first] if Need.PAIR not in method.needs else index.view(2, 3)[:, first].flatten()
        columns = {
            f.name: getattr(whole, f.name)[rows]
            for f in dataclasses.fields(Batch)
            if f.name != "statistic" and getattr(whole, f.name) is not None
        }
        return Batch(**columns, statistic=whole.statistic)

    units = 6 if Need.PAIR not in method.needs else 3
    split = sum(n * method.loss(part(slice(i, i + n))).loss for i, n in ((0, 2), (2, units - 2))) / units
    torch.testing.assert_close(split, method.loss(whole).loss)


def test_rebel_by_hand():
    """τ = ½, r = (1, 0), D = (0.5, 0.1): ((1 − 0)/½ − 0.4)² = 1.6² = 2.56."""
    batch = Batch(torch.tensor([0.5, 0.1]), torch.zeros(2), torch.ones(2), torch.tensor([1.0, 0.0]))
    assert REBEL(tau=0.5).loss(batch).loss.item() == pytest.approx(2.56)


def test_a_star_po_is_2_tau_squared_times_rpo():
    """β₁ = β₂ = τ, V* = τ log Ẑ for both: (τD − (r − V))² = 2τ² · ½ (D − (r − V)/τ)²."""
    batch = random_batch(requires_grad=False)
    rpo = RPO(tau=0.4, partition="reference_samples").loss(batch).loss
    torch.testing.assert_close(AStarPO(tau=0.4).loss(batch).loss, 2 * 0.4**2 * rpo)


@pytest.mark.parametrize("beta", [0.05, 0.3, 2.0])
def test_qrpos_partition_is_the_integral_over_a_uniform_quantile(beta: float):
    """Z = ∫₀¹ e^{u/β} du for the identity, ∫₀¹ u^{1/β} du for the logarithm."""
    u = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000
    identity = beta * (u / beta).exp().mean().log().item()
    logarithm = beta * (u.log() / beta).exp().mean().log().item()
    assert beta_log_partition(beta, "identity") == pytest.approx(identity, rel=1e-4)
    assert beta_log_partition(beta, "log") == pytest.approx(logarithm, rel=1e-4)


@pytest.mark.parametrize(
    "method", [DRO(baseline="batch_mean"), RPO(), REBEL()], ids=["dro-p", "rpo", "rebel"]
)
def test_shifting_all_rewards_of_a_prompt_changes_nothing(method: OfflineMethod):
    """V̂ moves by as much as the reward: δ in r is δ in the batch mean, and δ/τ in log Ẑ."""
    batch = random_batch(requires_grad=False)
    assert batch.log_partition is not None
    shifted = dataclasses.replace(
        batch, reward=batch.reward + 3.0, log_partition=batch.log_partition + 3.0 / method.strength
    )
    torch.testing.assert_close(
        method.loss(with_statistic(method, shifted)).loss, method.loss(with_statistic(method, batch)).loss
    )


def test_a_strength_is_the_methods_own_field():
    assert RPO().with_strength(0.2) == RPO(tau=0.2)
    assert SFT().with_strength(8.0) == SFT(k=8)
