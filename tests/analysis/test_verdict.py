"""The sentence says no more than the data allow."""

import pytest
from results_factory import cell_spec, write_cell
from worlds import only_panel, write_points, write_scored

from rpo_bench.analysis.ranking import rank
from rpo_bench.analysis.scores import read_panel_scores
from rpo_bench.analysis.verdict import verdict


def said(root):
    panel = only_panel(root)
    scores = read_panel_scores(panel)
    return verdict(panel, rank(panel, scores))


CLEAR = {"a": {0.1: [(1, 1.0), (1, 1.1), (1, 0.9)]}, "b": {0.1: [(1, 0.1), (1, 0.2), (1, 0.0)]}}
CLOSE = {"a": {0.1: [(1, 1.0), (1, 0.2), (1, 0.6)]}, "b": {0.1: [(1, 0.1), (1, 0.9), (1, 0.5)]}}


def test_a_winner_is_named_with_its_interval_and_its_lead_s(tmp_path):
    found = said(write_points(tmp_path, CLEAR, reference=-0.5))
    assert found.decided
    assert found.leader == "a"
    assert found.text.startswith("At 1 nats of KL, a earns the most reward: 1.000 [")
    assert "(1.500 above the reference policy), 0.900 [" in found.text
    assert found.text.endswith("] more than b, the next.")


def test_methods_whose_difference_is_within_chance_tie(tmp_path):
    found = said(write_points(tmp_path, CLOSE))
    assert not found.decided
    assert found.text.startswith("At 1 nats of KL, 2 methods tie for best: a, b. a has 0.600 [")
    assert found.text.endswith("] more than b; the difference is within chance.")


def test_only_those_that_tie_are_named(tmp_path):
    found = said(write_points(tmp_path, {**CLOSE, "c": {0.1: [(1, -9.0), (1, -9.1), (1, -9.2)]}}))
    assert "2 methods tie for best: a, b. a has" in found.text


def test_where_all_tie_it_is_said(tmp_path):
    found = said(write_points(tmp_path, {**CLOSE, "c": {0.1: [(1, 0.2), (1, 0.4), (1, 0.8)]}}))
    assert "all 3 methods tie for best: a, b and c. a has" in found.text


def test_with_one_seed_nothing_is_claimed(tmp_path):
    found = said(write_points(tmp_path, {"a": {0.1: [(1, 9.0)]}, "b": {0.1: [(1, 0.0)]}}))
    assert not found.decided
    assert "a has the highest reward: 9.000 [" in found.text
    assert found.text.endswith(
        "With one training seed the intervals cover only the prompts: another seed may reverse the order."
    )


def test_a_method_alone_is_compared_with_the_reference(tmp_path):
    found = said(write_points(tmp_path, {"a": {0.1: [(1, 0.4), (1, 0.5), (1, 0.6)]}}))
    assert "a, the only method here, earns a reward of 0.500" in found.text
    assert "(0.500 above the reference policy)" in found.text


def test_worse_than_the_reference_is_said(tmp_path):
    found = said(write_points(tmp_path, {"a": {0.1: [(1, -0.4), (1, -0.41), (1, -0.42)]}}))
    assert "(0.410 below the reference policy)" in found.text


def test_no_different_from_the_reference_is_said(tmp_path):
    found = said(write_points(tmp_path, {"a": {0.1: [(1, -0.5), (1, 0.5), (1, 0.1)]}}))
    assert "(within chance of the reference policy)" in found.text


def test_notes_tell_what_has_to_be_known(tmp_path):
    root = write_points(tmp_path, {**CLEAR, "c": {0.1: [(0.25, 0.1)] * 3}})
    write_cell(root, cell_spec("b", 0.1, 3), status="diverged")
    assert said(root).notes == (
        "Preliminary: 3 training seeds; a published result needs five.",
        "Don't reach that KL and are compared where they end: c (to 0.25).",
        "Diverged and not counted: 1 of b.",
    )


def test_who_alone_is_preliminary_is_named(tmp_path):
    five = {name: {0.1: of[0.1] + of[0.1][:2]} for name, of in CLEAR.items()}
    root = write_points(tmp_path, {**five, "c": {0.1: [(1, 0.4), (1, 0.3)]}})
    assert said(root).notes == ("Preliminary: c (2 training seeds); a published result needs five.",)


def test_five_seeds_are_not_preliminary(tmp_path):
    five = {name: {0.1: of[0.1] + of[0.1][:2]} for name, of in CLEAR.items()}
    assert said(write_points(tmp_path, five)).notes == ()


def test_methods_that_did_not_move_are_not_compared(tmp_path):
    found = said(write_points(tmp_path, {"a": {0.1: [(-0.01, 0.4)] * 3}, "b": {0.1: [(0.2, 0.4)] * 3}}))
    assert found.text == (
        "Nothing can be compared at equal KL: most methods have barely moved from the reference policy."
    )


def test_a_kl_that_may_be_zero_is_no_budget(tmp_path):
    """KL of −0.2, 0.3, −0.2 and 0.3 over the prompts is 0.05 on average and not shown to be above 0."""
    noise = {"kl": [-0.2, 0.3, -0.2, 0.3], "reward": [0.1] * 4}
    write_scored(tmp_path, cell_spec("reference", None), {"kl": [0.0] * 4, "reward": [0.0] * 4})
    for method in ("a", "b"):
        write_scored(tmp_path, cell_spec(method), noise)
    assert said(tmp_path).text.endswith("most methods have barely moved from the reference policy.")


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ([("reference", None)], "only the untrained reference policy was measured"),
        ([("rpo", 0.3)], "the untrained reference policy wasn't measured"),
    ],
)
def test_why_nothing_can_be_compared(tmp_path, cells, reason):
    for method, strength in cells:
        write_cell(tmp_path, cell_spec(method, strength))
    found = said(tmp_path)
    assert found.text == f"Nothing can be compared at equal KL: {reason}."


@pytest.mark.parametrize(
    ("rewarded", "reason"),
    [
        ((), "there is no reward to compare (rpo-bench score RESULTS --reward … --as reward adds one)"),
        (("a",), "the untrained reference policy has no reward"),
    ],
)
def test_without_a_reward_the_sentence_says_so(tmp_path, rewarded, reason):
    for method, strength in (("reference", None), ("a", 0.3)):
        scores = {"kl": [0.0 if strength is None else 1.0] * 4}
        scores |= {"reward": [0.5] * 4} if method in rewarded else {}
        write_scored(tmp_path, cell_spec(method, strength), scores)
    assert said(tmp_path).text == f"Nothing can be compared at equal KL: {reason}."


def test_a_method_without_a_strength_near_the_kl_ties_with_nobody(tmp_path):
    """From 0 at 0 nats a line falls to −1 at 6; a concave curve may pass 5 before, and nobody knows."""
    far = {0.3: [(6, -1.0), (6, -1.1), (6, -0.9)], 0.1: [(9, -4.0), (9, -4.1), (9, -3.9)]}
    near = {"a": {0.1: [(1, 1.0), (1, 1.1), (1, 0.9)]}, "b": {0.1: [(1, 0.9), (1, 1.1), (1, 0.95)]}}
    found = said(write_points(tmp_path, {**near, "far": far}))
    assert "2 methods tie for best: a, b. a has" in found.text
    assert any("No strength near that KL" in note and note.endswith(": far.") for note in found.notes)
