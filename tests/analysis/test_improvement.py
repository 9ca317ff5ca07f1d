"""How often a run of one method beats a run of another, and what that is worth."""

import numpy as np
import pytest

from rpo_bench.analysis.improvement import improvement, improvement_at, separated, turned
from rpo_bench.stats.joint import Joint, Term


def term(label, joint, by_seed):
    """A method whose runs score (S, P) by prompt."""
    return Term(label, 1.0, joint.means(np.array(by_seed).T), np.ones(joint.prompts, dtype=bool))


@pytest.fixture
def joint():
    return Joint(7, 40, 2_000)


def noisy(joint, shift, seed, runs=4):
    rng = np.random.default_rng(seed)
    return shift + rng.normal(0, 1.0, joint.prompts) + rng.normal(0, 0.001, (runs, joint.prompts))


def test_runs_far_apart_never_lose_and_have_no_interval(joint):
    found = improvement_at(term("a", joint, noisy(joint, 9, 1)), term("b", joint, noisy(joint, 0, 2)), joint)
    assert (found.point, found.low, found.high) == (1.0, None, None)


def test_a_lead_that_hangs_on_the_prompts_is_not_shown(joint):
    """The runs don't overlap on these prompts, but on others they might lie the other way round."""
    found = improvement_at(
        term("a", joint, noisy(joint, 0.05, 1)), term("b", joint, noisy(joint, 0.0, 2)), joint
    )
    assert found.point in (0.0, 1.0)
    assert found.low <= 0.5 <= found.high
    assert found.levels == ("training seeds", "prompts", "generation")


def test_prompts_that_are_hard_for_both_cancel(joint):
    hard = np.random.default_rng(3).normal(0, 5, joint.prompts)
    a, b = (
        term(name, joint, [hard + v for v in of]) for name, of in (("a", [1, 2, 3]), ("b", [0, 0.1, 0.2]))
    )
    assert improvement_at(a, b, joint).point == 1.0


def test_the_point_counts_pairs_of_runs(joint):
    flat = np.ones(joint.prompts)
    a, b = (term(n, joint, [v * flat for v in of]) for n, of in (("a", [1, 3, 5]), ("b", [2, 3])))
    assert improvement_at(a, b, joint).point == pytest.approx((0 + 0 + 1 + 0.5 + 1 + 1) / 6)


def test_turned_is_the_other_ones_view(joint):
    a, b = term("a", joint, noisy(joint, 0.05, 1)), term("b", joint, noisy(joint, 0.0, 2))
    one = improvement_at(a, b, joint)
    other = turned(one)
    assert other.point == pytest.approx(1 - one.point)
    assert (other.low, other.high) == (pytest.approx(1 - one.high), pytest.approx(1 - one.low))


def test_a_single_run_says_nothing(joint):
    a, b = term("a", joint, noisy(joint, 0, 1, runs=1)), term("b", joint, noisy(joint, 0, 2))
    assert improvement_at(a, b, joint).point is None
    assert improvement(np.ones((1, 2)), np.ones((3, 2)), np.random.default_rng(0)).point is None


@pytest.mark.parametrize(("runs", "more"), [((3, 3), False), ((3, 4), False), ((4, 4), True), ((3, 5), True)])
def test_how_many_runs_without_overlap_are_more_than_chance(runs, more):
    """Two of the C(n + m, n) ways to sort them are separated: 2/20, 2/35, 2/70, 2/56."""
    assert separated(*runs) is more
