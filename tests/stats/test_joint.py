"""The joint bootstrap: one draw of the prompts for everything, and intervals as wide as few seeds deserve."""

import time
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from rpo_bench.stats.interval import SOME_SEEDS
from rpo_bench.stats.joint import Joint, Term
from rpo_bench.stats.layout import contrast_spread, stretch
from rpo_bench.stats.quantiles import detectable, percentile_bounds, student_p


def term(joint: Joint, scores: np.ndarray, label: str = "a", sign: float = 1.0) -> Term:
    return Term(label, sign, joint.means(scores.T), np.isfinite(scores).any(0))


def test_means_begin_with_all_data_then_one_prompt_up_then_resamples(rng: np.random.Generator):
    """Scores 1, 2, 6: mean 3; a prompt raised by 1e-5 moves it by that share of its distance from 3."""
    joint = Joint(3, 3, 400)
    means = joint.means(np.array([[1.0], [2.0], [6.0]]))[:, 0]
    assert means.shape == (1 + 3 + 400,)
    assert means[0] == 3.0
    assert (means[1:4] - 3.0) / 1e-5 == pytest.approx([-2.0, -1.0, 3.0], rel=1e-4)
    assert means[4:].mean() == pytest.approx(3.0, abs=0.3)
    assert (Joint(3, 3, 400).means(np.array([[1.0], [2.0], [6.0]]))[:, 0] == means).all()


def test_unscored_prompts_move_nothing(rng: np.random.Generator):
    joint = Joint(3, 4, 50)
    means = joint.means(np.array([[1.0], [np.nan], [3.0], [np.nan]]))[:, 0]
    assert means[0] == 2.0
    assert means[2] == means[4] == 2.0


def two_levels(methods: list[np.ndarray], rng: np.random.Generator, resamples: int) -> np.ndarray:
    """Draws of the first method's mean less the second's, with loops; (S, P) each → (R,)."""
    draws = []
    for _ in range(resamples):
        prompts = rng.integers(0, methods[0].shape[1], methods[0].shape[1])
        of = [scores[rng.integers(0, len(scores), len(scores))][:, prompts].mean() for scores in methods]
        draws.append(of[0] - of[1])
    return np.array(draws)


def test_it_agrees_with_a_two_level_bootstrap_on_a_plain_difference(rng: np.random.Generator):
    prompts = rng.normal(size=(1, 60))
    first, second = (prompts + 0.1 * rng.normal(size=(5, 1)) + rng.normal(size=(5, 60)) for _ in range(2))
    joint = Joint(1, 60)
    ours = joint.contrast([term(joint, first, "a"), term(joint, second, "b", -1.0)]).interval
    draws = two_levels([first, second], rng, 6000)
    spread = contrast_spread([first, second], np.array([1.0, -1.0]))
    point = first.mean() - second.mean()
    assert ours.point == pytest.approx(point)
    plain = percentile_bounds(draws, point, 0.95, stretch(spread, draws, 0.95))
    assert (ours.low, ours.high) == pytest.approx(plain, abs=0.03)
    assert ours.levels == ("training seeds", "prompts", "generation")


def world(rng: np.random.Generator, seeds: int, prompts: int, sd: tuple[float, float, float]) -> np.ndarray:
    """Scores (S, P) with true mean 0: seed effect + prompt effect + noise of the given deviations."""
    return (
        sd[0] * rng.normal(size=(seeds, 1))
        + sd[1] * rng.normal(size=(1, prompts))
        + sd[2] * rng.normal(size=(seeds, prompts))
    )


@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("sd", [(1.0, 0.1, 1.0), (0.1, 1.0, 0.3), (0.02, 0.5, 2.0)])
def test_a_methods_interval_covers_its_mean_also_with_three_seeds(
    rng: np.random.Generator, seeds: int, sd: tuple[float, float, float]
):
    """Seeds, prompts or noise may dominate; plain percentiles reach 0.88 or less with three seeds."""
    hits = 0
    for resamples_of in range(300):
        joint = Joint(resamples_of, 60, 200)
        interval = joint.contrast([term(joint, world(rng, seeds, 60, sd))]).interval
        hits += interval.low <= 0 <= interval.high
    assert 0.90 <= hits / 300 <= 0.995
    assert interval.levels == ("training seeds", "prompts", "generation")
    assert interval.n == seeds


def test_pairing_takes_out_what_the_prompts_share(rng: np.random.Generator):
    """Hard prompts are hard for both: the interval of a 0.2 difference is far from 0."""
    prompts = 5 * rng.normal(size=(1, 100))
    first, second = prompts + 0.2 + 0.1 * rng.normal(size=100), prompts + 0.1 * rng.normal(size=100)
    joint = Joint(1, 100)
    paired = joint.contrast([term(joint, first, "a"), term(joint, second, "b", -1.0)]).interval
    assert 0.1 < paired.low < paired.point < paired.high < 0.3
    alone = joint.contrast([term(joint, first, "a")]).interval
    assert alone.high - alone.low > 10 * (paired.high - paired.low)


def test_unscored_cells_are_left_out(rng: np.random.Generator):
    """A prompt that no seed has a score for, and a seed without any: three seeds are left."""
    scores = rng.normal(size=(4, 20)) + 3
    scores[:, 7] = np.nan
    scores[3] = np.nan
    joint = Joint(1, 20)
    interval = joint.contrast([term(joint, scores)]).interval
    assert interval.n == 3
    assert interval.point == pytest.approx(np.nanmean(scores))
    assert interval.low < interval.point < interval.high


def test_with_one_seed_it_is_the_paired_t_test(rng: np.random.Generator):
    """The difference of two checkpoints has SciPy's paired p-value."""
    first, second = rng.normal(0.3, 1, (1, 50)), rng.normal(size=(1, 50))
    joint = Joint(1, 50)
    found = joint.contrast([term(joint, first, "a"), term(joint, second, "b", -1.0)])
    theirs = stats.ttest_rel(first[0], second[0])
    assert found.p == pytest.approx(theirs.pvalue, rel=1e-3)
    low, high = theirs.confidence_interval()
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high), abs=0.05)
    assert found.interval.levels == ("prompts", "generation")


def test_seed_effects_alone_give_students_t(rng: np.random.Generator):
    """Scores that differ by seed only: Welch's t on the seeds' means."""
    first, second = (np.repeat(rng.normal(size=(4, 1)), 30, axis=1) for _ in range(2))
    joint = Joint(1, 30)
    found = joint.contrast([term(joint, first, "a"), term(joint, second, "b", -1.0)])
    theirs = stats.ttest_ind(first[:, 0], second[:, 0], equal_var=False)
    assert found.p == pytest.approx(theirs.pvalue, rel=1e-3)


def test_a_single_seed_beside_several_says_whose_seeds_are_covered(rng: np.random.Generator):
    joint = Joint(1, 30)
    one, many = rng.normal(size=(1, 30)), rng.normal(size=(4, 30))
    found = joint.contrast([term(joint, one, "a"), term(joint, many, "b", -1.0)]).interval
    assert found.levels == SOME_SEEDS
    assert found.low < found.point < found.high


def test_a_shared_shift_cancels_and_no_variation_is_no_certainty(rng: np.random.Generator):
    joint = Joint(1, 30, 200)
    scores = np.repeat(rng.normal(size=(1, 30)), 3, axis=0)
    same = joint.contrast([term(joint, scores), term(joint, scores, sign=-1.0)])
    assert (same.interval.point, same.interval.low, same.p) == (0.0, None, 1.0)
    shifted = joint.contrast([term(joint, scores + 1), term(joint, scores, sign=-1.0)])
    assert (shifted.interval.point, shifted.interval.low, shifted.p) == (pytest.approx(1.0), None, None)


def test_nothing_to_compare_has_no_number(rng: np.random.Generator):
    joint = Joint(1, 5, 50)
    nothing = Term("a", 1.0, np.empty((56, 0)), np.zeros(5, dtype=bool))
    found = joint.contrast([nothing])
    assert (found.interval.point, found.interval.n, found.p) == (None, 0, None)
    unscored = term(joint, np.full((2, 5), np.nan))
    assert joint.contrast([unscored]).interval.point is None


def test_the_order_of_methods_and_prompts_shared_changes_no_draw(rng: np.random.Generator):
    joint = Joint(1, 20, 100)
    assert (joint.seeds("rpo", 3) == Joint(1, 20, 100).seeds("rpo", 3)).all()
    assert (joint.seeds("rpo", 3) != joint.seeds("sft", 3)).any()
    assert joint.seeds("rpo", 3).sum(1) == pytest.approx(np.ones(100))


def test_ten_thousand_resamples_of_nine_methods_are_quick_and_small(rng: np.random.Generator):
    """9 methods × 5 seeds × 1,000 prompts: (1 + P + R) × 45 numbers and no more are held, 4 MB."""
    scores = [rng.normal(size=(5, 1000)) for _ in range(9)]
    started_at = time.process_time()
    joint = Joint(1, 1000)
    means = joint.means(np.concatenate(scores).T)
    terms = [Term(str(i), 1.0, means[:, 5 * i : 5 * i + 5], np.ones(1000, dtype=bool)) for i in range(9)]
    for other in terms[1:]:
        joint.contrast([terms[0], other.negative()])
    assert time.process_time() - started_at < 15  # 1.5 s on an idle core
    assert means.nbytes < 5_000_000


def test_the_layout_variance_by_hand():
    """Two seeds (0, 2) and (2, 4) on two prompts: seed means 1 and 3 (s² = 2, over 2 seeds: 1); prompt means
    1 and 3 (s² = 2, over 2 prompts: 1); no residual. The variance of the mean is 2."""
    spread = contrast_spread([np.array([[0.0, 2.0], [2.0, 4.0]])], np.array([1.0]))
    assert spread.variance == pytest.approx(2.0)
    assert spread.freedom == pytest.approx(2.0)  # (1 + 1)²/(1/1 + 1/1)


def test_students_p_is_scipys():
    assert student_p(2.0, 5) == pytest.approx(2 * stats.t.sf(2.0, 5))
    assert student_p(-2.0, float("inf")) == pytest.approx(2 * stats.norm.sf(2.0))


def test_the_detectable_effect_is_found_in_80_percent_of_tests(rng: np.random.Generator):
    """Two groups of 20, sd 1: error √(2/20) = 0.316, 38 degrees of freedom, (2.024 + 0.851)·0.316 = 0.909."""
    effect = detectable(np.sqrt(2 / 20), 38)
    assert effect == pytest.approx(0.909, abs=1e-3)
    drawn = rng.normal(effect, 1, (2000, 20)), rng.normal(0, 1, (2000, 20))
    found = stats.ttest_ind(*drawn, axis=1).pvalue < 0.05
    assert found.mean() == pytest.approx(0.8, abs=0.03)
    assert detectable(1.0, float("inf")) == pytest.approx(1.959964 + 0.841621, abs=1e-5)
    with pytest.raises(ValueError, match="power"):
        detectable(1.0, 3, power=1.0)


def test_a_function_that_jumps_has_the_variance_of_its_resamples():
    """Whichever of two means is larger decides between 0 and 1: tied but for 1e-9, any tilt flips it.

    Half of all resamples give 1: a standard deviation of ½, where influences would say 1e4.
    """
    rng = np.random.default_rng(0)
    first = rng.normal(size=40)
    second = rng.permutation(first)
    second += first.mean() - second.mean() + 1e-9
    joint = Joint(0, 40, 2_000)
    means = joint.means(np.stack([first, second], axis=1))
    jumping = (means[:, 0] > means[:, 1]).astype(float)[:, None]
    found = joint.contrast([Term("a", 1.0, jumping, np.ones(40, dtype=bool))])
    assert found.interval.high - found.interval.low < 3.0
    assert 0.2 < found.detectable < 3.0


def test_what_a_value_may_lie_above_widens_one_side_and_weakens_the_p_value(rng: np.random.Generator):
    """a − b, where a may be 0.2 more and b 0.1 more: from 0.1 less to 0.2 more."""
    joint = Joint(1, 40)
    a, b = (term(joint, rng.normal(mean, 0.5, (4, 40)), name) for mean, name in ((1.0, "a"), (0.0, "b")))
    plain = joint.contrast([a, b.negative()])
    wide = joint.contrast([replace(a, slack=0.2), replace(b, slack=0.1).negative()])
    assert wide.interval.point == plain.interval.point
    assert wide.interval.low == pytest.approx(plain.interval.low - 0.1)
    assert wide.interval.high == pytest.approx(plain.interval.high + 0.2)
    nearest = (plain.interval.point - 0.1) / plain.error
    assert wide.p == pytest.approx(student_p(nearest, plain.freedom))
    assert wide.detectable == pytest.approx(plain.detectable + 0.2)


def test_a_difference_that_slack_may_take_back_is_not_told(rng: np.random.Generator):
    joint = Joint(1, 40)
    a, b = (term(joint, rng.normal(mean, 0.5, (4, 40)), name) for mean, name in ((1.0, "a"), (0.0, "b")))
    found = joint.contrast([a, replace(b, slack=5.0).negative()])
    assert found.p == 1.0
    assert found.interval.low < 0 < found.interval.high
