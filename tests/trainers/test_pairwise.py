"""The pairwise family: members by hand, gradients as declared, invariances, bad options."""

import dataclasses
import math

import pytest
import torch

from rpo_bench.errors import UserError
from rpo_bench.methods.registry import METHODS, default_method, resolve_method
from rpo_bench.spec.sections import MethodSpec
from trainers.dpo import (
    DPO,
    IPO,
    ORPO,
    ConservativeDPO,
    LengthNormalisedDPO,
    LengthRegularisedDPO,
    PositiveDPO,
    RewardAwareDPO,
    RobustDPO,
    SimPO,
    SLiC,
    SupervisedDPO,
)
from trainers.objective import Batch
from trainers.pairwise import Pairwise

FAMILY = [name for name in METHODS if isinstance(METHODS.get(name)(), Pairwise)]


def pair(log_ratios=(0.0, 0.0), lengths=(2.0, 4.0), reference=(-4.0, -4.0), rewards=(1.0, 0.0)) -> Batch:
    """One pair, the better response first, in float64."""
    columns = (reference, log_ratios, lengths, rewards)
    reference_logps, ratio, length, reward = (torch.tensor(one, dtype=torch.float64) for one in columns)
    return Batch((reference_logps + ratio).requires_grad_(), reference_logps, length, reward)


def loss(method: Pairwise, batch: Batch) -> float:
    return method.loss(batch).loss.item()


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def sigma(x: float) -> float:
    return 1 / (1 + math.exp(-x))


THREE = math.log(3)  # σ(ln 3) = ¾


def test_dpo():
    """β = 1, D_w − D_l = ln 3: −log ¾."""
    assert loss(DPO(beta=1.0), pair((THREE, 0.0))) == pytest.approx(math.log(4 / 3))


def test_ipo():
    """β = ½: the difference is to be 1; ln 3 is ln 3 − 1 too large."""
    assert loss(IPO(beta=0.5), pair((THREE, 0.0))) == pytest.approx((THREE - 1) ** 2)


def test_squared_has_no_target_of_its_own():
    """(D_w − D_l − η (r_w − r_l)/β)²: η = 1, β = ½, r_w − r_l = 2 asks for 4, and 1.5 is there: 2.5²."""
    method = DPO(beta=0.5, objective="squared", reward_margin=1.0)
    assert loss(method, pair((1.5, 0.0), rewards=(3.0, 1.0))) == pytest.approx(6.25)


def test_slic():
    """1 − ½ · 0.8 = 0.6 within the margin, 0 beyond it."""
    assert loss(SLiC(beta=0.5), pair((0.8, 0.0))) == pytest.approx(0.6)
    assert loss(SLiC(beta=0.5), pair((2.1, 0.0))) == 0


def test_conservative_and_robust():
    """u = ln 3, ε = ¼: ¾ log(4/3) + ¼ log 4; robust (¾ log(4/3) − ¼ log 4)/½."""
    right, wrong = math.log(4 / 3), math.log(4)
    batch = pair((THREE, 0.0))
    found = loss(ConservativeDPO(beta=1.0, label_smoothing=0.25), batch)
    assert found == pytest.approx(0.75 * right + 0.25 * wrong)
    found = loss(RobustDPO(beta=1.0, label_smoothing=0.25), batch)
    assert found == pytest.approx((0.75 * right - 0.25 * wrong) / 0.5)


def test_robust_is_unbiased():
    """With a share ε of the pairs turned round, it is DPO's loss of the pairs as they should be."""
    method = RobustDPO(beta=0.7, label_smoothing=0.2)
    there, back = pair((0.9, -0.3)), pair((-0.3, 0.9))
    mean = 0.8 * loss(method, there) + 0.2 * loss(method, back)
    assert mean == pytest.approx(loss(DPO(beta=0.7), there))


def test_length_regularised():
    """The better response is 2 tokens shorter: α = ¼ takes ½ from u = ln 3."""
    method = LengthRegularisedDPO(beta=1.0, length_penalty=0.25)
    assert loss(method, pair((THREE, 0.0))) == pytest.approx(softplus(0.5 - THREE))


def test_length_normalised():
    """D_w/2 − D_l/4 = 0.6 − 0.1; β = 2 gives u = 1."""
    assert loss(LengthNormalisedDPO(beta=2.0), pair((1.2, 0.4))) == pytest.approx(softplus(-1.0))


def test_simpo():
    """log π(y_w)/2 − log π(y_l)/4 = −1 + 2 = 1, less the margin ½, times 2; the reference doesn't matter."""
    batch = pair((2.0, -4.0), reference=(-4.0, -4.0))
    assert loss(SimPO(), batch) == pytest.approx(softplus(-1.0))
    other = pair((1.0, -3.0), reference=(-3.0, -5.0))
    assert loss(SimPO(), other) == pytest.approx(softplus(-1.0))


def test_reward_aware():
    """r_w − r_l = ln 3: the pair is right with probability ¾. At β (D_w − D_l) = ln 3 nothing pulls."""
    batch = pair((THREE, 0.0), rewards=(THREE, 0.0))
    found = loss(RewardAwareDPO(beta=1.0), batch)
    assert found == pytest.approx(0.75 * math.log(4 / 3) + 0.25 * math.log(4))
    assert RewardAwareDPO(beta=1.0).coefficient(batch).abs().max() < 1e-12


def test_positive():
    """D_w = −0.1 costs λ · 0.1 = ½ of u; above its reference nothing."""
    method = PositiveDPO(beta=1.0, positive_penalty=5.0)
    assert loss(method, pair((-0.1, -0.6))) == pytest.approx(softplus(0.0))
    assert loss(method, pair((0.1, -0.4))) == pytest.approx(softplus(-0.5))


def test_supervised():
    """ln 2 of the pair, and c · 4/2 nats per token of the better response."""
    assert loss(SupervisedDPO(sft_weight=0.5), pair()) == pytest.approx(math.log(2) + 0.5 * 2)


def test_orpo():
    """P_w = ½ (odds 1), P_l = ¼ (odds ⅓): log σ(ln 3) and 10 · log ½."""
    batch = pair(lengths=(2.0, 4.0), reference=(2 * math.log(0.5), 4 * math.log(0.25)))
    assert loss(ORPO(), batch) == pytest.approx(math.log(4 / 3) + 10 * math.log(2))


def test_orpo_of_a_certain_response_is_finite():
    batch = pair(reference=(-0.0, -4.0))
    output = ORPO().loss(batch)
    output.loss.backward()
    assert math.isfinite(output.loss.item())
    assert torch.isfinite(batch.policy_logps.grad).all()


VARIANTS = [
    *(default_method(name) for name in FAMILY),
    DPO(beta=0.3, objective="ipo", label_smoothing=0.1, smoothing="robust"),
    DPO(beta=0.3, score="log_odds", target_margin=0.2, length_penalty=0.05),
    DPO(objective="hinge", score="mean_logp", reward_margin=0.4, positive_penalty=2.0),
    DPO(objective="squared", reward_label=0.7, sft_weight=0.3),
]


@pytest.mark.parametrize("method", VARIANTS, ids=repr)
@pytest.mark.parametrize("seed", [0, 1])
def test_autograd_gives_the_declared_coefficient(method, seed):
    """On pairs on both sides of every kink: −∂loss/∂log π(y) = GC / P."""
    generator = torch.Generator().manual_seed(seed)
    columns = torch.randn(4, 12, generator=generator, dtype=torch.float64)
    lengths = torch.randint(1, 9, (12,), generator=generator).double()
    policy = (-2 * lengths + columns[0]).requires_grad_()
    batch = Batch(policy, -2 * lengths + columns[1], lengths, columns[2])
    method.loss(batch).loss.backward()
    torch.testing.assert_close(-policy.grad, method.coefficient(batch) / 6)


@pytest.mark.parametrize("name", [name for name in FAMILY if name not in ("simpo", "orpo")])
def test_what_a_prompt_adds_to_its_rewards_changes_nothing(name):
    """Pairs know differences of rewards alone."""
    method, batch = default_method(name), pair((0.4, -0.2))
    shifted = dataclasses.replace(batch, reward=batch.reward + 7.0)
    assert loss(method, shifted) == pytest.approx(loss(method, batch))


@pytest.mark.parametrize("name", ["dpo", "ipo", "cdpo", "robust-dpo"])
def test_at_the_reference_a_pair_pushes_both_responses_alike(name):
    """At D = 0 the coefficients are opposite."""
    method = default_method(name)
    there = method.coefficient(pair(lengths=(3.0, 3.0)))
    torch.testing.assert_close(there, -there.flip(0))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("simpo", {"target_margin": 1.5}, "target_margin is γ/β, from 0 to 1 nats per token, not 1.5"),
        ("simpo", {"target_margin": -0.1}, "target_margin is 0 or more, not -0.1"),
        ("dpo", {"beta": 0}, "beta is above 0, not 0"),
        ("cdpo", {"label_smoothing": 0.5}, "from 0 to below 0.5, not 0.5: with half of the labels wrong"),
        ("reward-aware-dpo", {"label_smoothing": 0.1}, "label_smoothing or reward_label, not both"),
        ("dpop", {"positive_penalty": -1}, "positive_penalty is 0 or more, not -1"),
    ],
)
def test_options_out_of_range_are_refused_when_planning(name, options, message):
    with pytest.raises(UserError, match=message):
        resolve_method(MethodSpec(name=name, options=options), 1.0)


def test_every_member_is_an_option_of_dpo():
    """A name is a line of configuration: DPO with the same options has the same loss."""
    batch = pair((0.4, -0.2))
    for name in FAMILY:
        method = default_method(name)
        options = {field.name: getattr(method, field.name) for field in dataclasses.fields(method)}
        assert loss(DPO(**options), batch) == pytest.approx(loss(method, batch)), name


def test_coefficients_of_the_odds():
    """P_w = ½ over 2 tokens: ∂o_w/∂log π = 1/(2 · ½) = 1."""
    batch = pair(lengths=(2.0, 4.0), reference=(2 * math.log(0.5), 4 * math.log(0.25)))
    found = ORPO(sft_weight=0.0).coefficient(batch)
    pull = sigma(-THREE)
    assert found.tolist() == pytest.approx([pull * 1.0, -pull / (4 * 0.75)])
