"""From answers to a sentence, and the promises that a method's functions make to each other."""

import dataclasses
import math

import pytest
import torch

from rpo_bench.errors import UserError
from rpo_bench.methods import METHODS
from rpo_bench.tabular.logged import Sampling, whole_groups
from rpo_bench.tabular.report import as_dict, markdown, notes, table
from rpo_bench.tabular.truth import Condition, Truth, log_of, prepared
from rpo_bench.tabular.verdict import verdict_of
from rpo_bench.tabular.verify import Questions, check_contract, own_strengths, verify
from rpo_bench.tabular.world import make_world
from rpo_bench.tabular.yardsticks import Resemblance
from trainers import DPO, REBEL, RPO, SFT, UNA
from trainers.objective import Batch, LossOutput, OfflineMethod

QUICK = Questions(strengths=(0.5,), ks=(1,), units=64)


def answer(k: int, kl: float | None, noise: float = 0.0, limit: bool = False, **changes) -> Truth:
    plain = Truth(
        condition=Condition("on_policy", 0.5, k, limit),
        claim=None if kl is None else "π_ref·e^(r/τ)",
        kl=kl,
        reverse_kl=kl,
        noise=noise,
        objective_gap=None,
        reward=0.0,
        reference_kl=1.0,
        regret=0.1,
        drift=0.0,
        at_rest=True,
        nearest=Resemblance("μ", 0.4),
    )
    return dataclasses.replace(plain, **changes)


def test_at_the_optimum_for_every_k_is_consistent():
    found = verdict_of([answer(1, 1e-3), answer(4, 0.0), answer(1024, 0.0, limit=True)])
    assert (found.kind, found.text) == ("consistent", "consistent: π_ref·e^(r/τ)")


def test_at_the_optimum_in_the_limit_alone_says_how_far_off_it_is_before():
    found = verdict_of([answer(1, 0.4), answer(4, 0.02), answer(1024, 0.0, limit=True)])
    assert found.kind == "in_the_limit"
    assert found.text == "consistent as K → ∞: π_ref·e^(r/τ); KL 0.4 at K = 1, KL 0.02 at K = 4"


def test_noise_explains_three_times_itself_and_no_more():
    assert verdict_of([answer(2, 0.03, noise=0.01)]).kind == "consistent"
    assert verdict_of([answer(2, 0.04, noise=0.01)]).kind == "not_consistent"
    assert verdict_of([answer(2, 0.3, noise=0.2)]).kind == "undecided"


def test_a_fixed_point_elsewhere_is_named_when_it_is_known():
    there = answer(1024, 0.7, limit=True)
    near = dataclasses.replace(there, nearest=Resemblance("μ", 0.001))
    assert verdict_of([near]).text == "not consistent: it converges to μ at strength 0.5"
    assert verdict_of([there]).text == (
        "not consistent: it converges to a policy KL 0.7 from its claim, nearest μ (off by 0.4) "
        "at strength 0.5"
    )


def test_no_rest_and_no_finite_loss_are_said_so():
    moving = answer(32, 0.7, at_rest=False, drift=0.1)
    assert verdict_of([moving]).text.startswith("not consistent: it doesn't converge, moving towards μ")
    broken = answer(32, 0.7, at_rest=False, drift=math.nan)
    assert verdict_of([broken]).text == "not consistent: the loss stops being finite at strength 0.5"


def test_right_for_small_k_and_wrong_for_large_is_neither():
    found = verdict_of([answer(2, 0.0), answer(32, 0.5)])
    assert found.kind == "at_some_k"
    assert found.text.startswith("consistent only at K = 2; at K = 32 it converges to")


def test_without_a_claim_there_is_only_where_it_ends():
    assert verdict_of([answer(1, None)]).kind == "no_claim"


OFFLINE = [name for name in METHODS if isinstance(METHODS.get(name)(), OfflineMethod)]


@pytest.mark.parametrize("method", [METHODS.get(name)() for name in OFFLINE], ids=OFFLINE)
def test_our_methods_keep_their_promises(method):
    world = make_world(0)
    log = log_of(method, world, Sampling(4, whole_groups(4, 64)), 0)
    found = check_contract(method, prepared(method, world, log), world)
    assert found.coefficient_holds
    assert found.split_holds


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (DPO(rounds=3, reference="previous"), "reference=previous corrects rewards"),
        (DPO(rounds=3, fresh=0.5), "the table has no logged rows and all prompts"),
        (DPO(rounds=101), "the table takes up to 100 rounds, not 101"),
    ],
)
def test_rounds_that_the_table_does_not_have_are_refused(method, message):
    with pytest.raises(UserError, match=message):
        verify("dpo", method, QUICK)


class Undeclared(UNA):
    """Declares a coefficient that isn't its gradient."""

    def coefficient(self, batch: Batch) -> torch.Tensor:
        return 2 * super().coefficient(batch)


class Summed(UNA):
    """A sum over rows, where a mean is asked for."""

    def loss(self, batch: Batch) -> LossOutput:
        return LossOutput(super().loss(batch).loss * len(batch.reward))


class Failing(UNA):
    """Reads what nobody gave it."""

    def loss(self, batch: Batch) -> LossOutput:
        return LossOutput((batch.policy_logps - batch.value).mean())


class Exploding(UNA):
    """Its loss is no number."""

    def loss(self, batch: Batch) -> LossOutput:
        return LossOutput((batch.policy_logps * math.inf).mean())


def test_a_wrong_coefficient_and_a_sum_are_found_out():
    """Declared 2 GC against GC: off by 1 of itself. Sums over n/3 and 2n/3 rows weigh 5/9 of one over n."""
    assert verify("u", Undeclared(), QUICK).contract.coefficient_error == pytest.approx(1.0)
    found = verify("s", Summed(), QUICK)
    assert found.contract.split_error > 0.3
    assert [note.split(":")[0] for note in notes(found)].count("BROKEN") == 2


def test_an_error_in_a_method_is_one_sentence_with_its_place():
    with pytest.raises(
        UserError,
        match=r"^Method 'mine' failed in the table: TypeError: .*\(test_tabular_verdict.py, line \d+\)",
    ):
        verify("mine", Failing(), QUICK)


def test_a_loss_that_is_no_number_is_an_answer():
    found = verify("mine", Exploding(), QUICK)
    assert "the loss stops being finite" in found.verdicts["on_policy"].text


def test_strengths_are_the_methods_own():
    assert own_strengths(RPO()) == (1.0, 0.5, 0.25)
    assert own_strengths(SFT()) == (2, 4, 8)


def test_a_verification_as_table_markdown_and_plain_data():
    found = verify("rebel", REBEL(), Questions(strengths=(0.5,), ks=(1, 2), units=64))
    columns, rows = table(found)
    assert columns == ["data from", "tau", "K = 1", "K = 2", "K = 32", "regret at equal KL", "nearest policy"]
    assert [row[:6] for row in rows] == [
        ["π_ref", "0.5", "–", "0", "0", "0"],
        ["μ", "0.5", "–", "0", "0", "0"],
    ]
    lines = markdown(found).splitlines()
    assert lines[0] == "### rebel: KL to π_ref·e^(r/τ), in nats"
    assert lines[2].count("|") == lines[4].count("|") == 8
    plain = as_dict(found)
    assert plain["verdicts"]["off_policy"]["kind"] == "consistent"
    assert plain["missing"] == {"1": "rebel needs two responses to a prompt; every prompt has one."}
    assert plain["truths"][0]["condition"] == {"data": "on_policy", "strength": 0.5, "k": 2, "limit": False}
    assert plain["truths"][0]["reached"] is True
    assert as_dict(verify("x", Exploding(), QUICK))["truths"][0]["drift"] is None
