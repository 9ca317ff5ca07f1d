"""Who wins at equal KL: a budget that no reward chooses, straight lines, and a lead that must be shown."""

import numpy as np
import pytest
from results_factory import cell_spec, write_cell, write_world
from worlds import only_panel, write_points

from rpo_bench.analysis.build import compare
from rpo_bench.analysis.cube import Cube
from rpo_bench.analysis.matched import Curve, mean_slack, within
from rpo_bench.analysis.ranking import rank
from rpo_bench.analysis.reach import kl_budget
from rpo_bench.analysis.scores import read_panel_scores
from rpo_bench.analysis.section import Options
from rpo_bench.stats.frontier import interpolation_slack
from rpo_bench.stats.joint import Joint


def ranking(root):
    panel = only_panel(root)
    scores = read_panel_scores(panel)
    return rank(panel, scores)


@pytest.mark.parametrize(
    ("furthest", "budget"),
    [
        ([1.0], 1.0),
        ([2.0, 1.0], 1.0),
        ([3.0, 2.0, 1.0], 2.0),
        ([4.0, 3.0, 2.0, 1.0], 3.0),
        ([5.0, 4.0, 3.0, 2.0, 1.0], 3.0),
        ([1.2387, 1.2345], 1.2),
        ([0.01239, 0.01239], 0.012),
        ([20.0, 19.9], 19.0),
        ([0.0, 0.0], 0.0),
    ],
)
def test_the_budget_is_what_half_of_the_methods_reach(furthest, budget):
    assert kl_budget(furthest) == pytest.approx(budget)
    assert kl_budget(furthest[::-1]) == pytest.approx(budget)


def test_the_reward_lies_on_straight_lines_from_the_reference_and_stays_where_they_end():
    """Reference 0 at 0 nats, then 1 at 1 nat and 2 at 3 nats: 0.5 at ½, 1.5 at 2, and 2 at 9."""
    kl, reward = np.array([[3.0, 1.0]]), np.array([[2.0, 1.0]])
    found = [within(kl, reward, np.array([0.0]), budget)[0] for budget in (0.5, 2.0, 9.0)]
    assert found == pytest.approx([0.5, 1.5, 2.0])


def test_two_strengths_of_nearly_one_kl_say_nothing_of_what_straight_lines_hide():
    """KLs 0.717 and 0.721, each ± 0.05 over the prompts: read at 0.71, 0.001 up to the neighbour's 0.451.

    The line through the two would pass below the straight line and be left out: 0.163, by the first line.
    """
    rng = np.random.default_rng(0)
    spread = 0.3 * rng.normal(size=(40, 3))
    joint = Joint(1, 40, 400)
    kl = joint.means(np.array([0.55, 0.717, 0.721]) + spread - spread.mean(0))
    curve = Curve(kl, np.broadcast_to([0.428, 0.451, 0.456], kl.shape), ("a", "b", "c"))
    cube = Cube(tuple(map(str, range(40))), {}, np.empty((40, 0)), joint, {})

    def slack(use_apart: bool) -> float:
        return mean_slack(
            [curve],
            -0.208,
            cube,
            lambda points, apart: interpolation_slack(points, 0.71, apart if use_apart else None),
        )

    assert slack(True) == pytest.approx(0.001, abs=1e-4)
    assert slack(False) == pytest.approx(0.163, abs=1e-3)


def test_methods_are_ranked_at_one_kl_by_hand_worked_rewards(tmp_path):
    """Budget 1: a is at 1.0; b passes (½, 0.3) and (1.5, 0.9), so 0.6; c ends at (0.2, 0.1)."""
    three = lambda kl, reward: [(kl, reward)] * 3  # noqa: E731
    root = write_points(
        tmp_path,
        {
            "a": {0.1: three(1.0, 1.0)},
            "b": {1.0: three(0.5, 0.3), 0.1: three(1.5, 0.9)},
            "c": {0.1: three(0.2, 0.1)},
        },
        reference=-0.5,
    )
    found = ranking(root)
    assert found.budget == 1.0
    assert [one.label for one in found.standings] == ["a", "b", "c"]
    assert [one.reward.point for one in found.standings] == pytest.approx([1.0, 0.6, 0.1])
    assert [one.gain.point for one in found.standings] == pytest.approx([1.5, 1.1, 0.6])
    assert found.standings[0].behind is None
    assert found.standings[1].behind.point == pytest.approx(0.4)
    assert [one.furthest for one in found.standings] == [None, None, pytest.approx(0.2)]
    assert found.reference.point == pytest.approx(-0.5)


def test_prompts_that_all_methods_share_cancel_in_differences(tmp_path):
    """The prompts' ±0.1 widens every reward's interval and none of the gains', which have no spread left."""
    root = write_points(tmp_path, {"a": {0.1: [(1.0, 1.0)] * 3}, "b": {0.1: [(1.0, 0.5)] * 3}})
    best, next_ = ranking(root).standings
    assert best.reward.high - best.reward.low > 0.1
    assert best.gain.low is None
    assert next_.behind.low is None
    assert next_.behind.point == pytest.approx(0.5)


def test_a_lead_larger_than_the_seeds_spread_is_resolved(tmp_path):
    clear = {"a": {0.1: [(1, 1.0), (1, 1.1), (1, 0.9)]}, "b": {0.1: [(1, 0.1), (1, 0.2), (1, 0.0)]}}
    assert ranking(write_points(tmp_path, clear)).standings[1].resolved


def test_a_lead_within_the_seeds_spread_is_not(tmp_path):
    close = {"a": {0.1: [(1, 1.0), (1, 0.2), (1, 0.6)]}, "b": {0.1: [(1, 0.1), (1, 0.9), (1, 0.5)]}}
    assert not ranking(write_points(tmp_path, close)).standings[1].resolved


def test_one_seed_resolves_nothing(tmp_path):
    single = {"a": {0.1: [(1, 9.0)]}, "b": {0.1: [(1, 0.0), (1, 0.1), (1, 0.2)]}}
    assert not ranking(write_points(tmp_path, single)).standings[1].resolved


def test_diverged_runs_do_not_count_and_are_counted(tmp_path):
    root = write_points(tmp_path, {"a": {0.1: [(1.0, 1.0)] * 2}, "b": {0.1: [(1.0, 0.5)] * 2}})
    write_cell(root, cell_spec("a", 0.1, 2), status="diverged")
    best = ranking(root).standings[0]
    assert (best.label, best.seeds, best.lost) == ("a", 2, 1)
    assert best.reward.point == pytest.approx(1.0)


def test_a_seed_that_diverged_at_one_strength_goes_on_through_the_others(tmp_path):
    """Seed 1 has only (2, 1): it is at ½ for 1 nat; seed 0 is at 1."""
    root = write_points(
        tmp_path, {"a": {0.1: [(2.0, 1.0)] * 2, 1.0: [(1.0, 1.0)]}, "b": {0.1: [(1.0, 0.0)] * 2}}
    )
    write_cell(root, cell_spec("a", 1.0, 1), status="diverged")
    best = ranking(root).standings[0]
    assert best.reward.point == pytest.approx((1.0 + 0.5) / 2)


def test_there_is_no_ranking_without_a_reference(tmp_path):
    write_cell(tmp_path, cell_spec())
    assert ranking(tmp_path) is None


def test_there_is_no_ranking_of_nothing(tmp_path):
    write_cell(tmp_path, cell_spec("reference", None))
    write_cell(tmp_path, cell_spec(), status="diverged")
    assert ranking(tmp_path) is None


def test_ranks_are_as_far_apart_as_paired_differences_show(tmp_path):
    """a and b can't be told apart, c is behind both, and d, with one seed, isn't ranked."""
    close = {"a": {0.1: [(1, 1.0), (1, 0.2), (1, 0.6)]}, "b": {0.1: [(1, 0.1), (1, 0.9), (1, 0.5)]}}
    behind = {"c": {0.1: [(1, -9.0), (1, -9.1), (1, -9.2)]}, "d": {0.1: [(1, -20.0)]}}
    found = ranking(write_points(tmp_path, {**close, **behind}))
    ranks = {"a": (1, 2), "b": (1, 2), "c": (3, 3), "d": None}
    assert {one.label: one.ranks for one in found.standings} == ranks


def test_ranks_are_those_of_compare(tmp_path):
    root = write_world(tmp_path, ["sft", "rpo", "kto"], seeds=4)
    (section,) = compare([str(root)], [], Options()).sections
    found = ranking(root)
    assert {one.label: one.ranks for one in found.standings} == {
        one.label: one.ranks for one in section.standings
    }
