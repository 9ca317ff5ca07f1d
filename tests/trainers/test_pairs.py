"""Pairs out of scored rows."""

import dataclasses

import numpy as np
import pytest

from trainers import DPO, REBEL
from trainers.dpo import IPO
from trainers.errors import UserError
from trainers.examples import Examples
from trainers.pairs import lonely_rows, make_pairs


def rows(rewards: list[float], groups: list[int]) -> Examples:
    return Examples([[5]] * len(rewards), [[6, 1]] * len(rewards), np.array(rewards), np.array(groups))


def test_best_against_worst_of_every_prompt():
    """Prompt 3 has rewards 1, 4, 2 in rows 0, 2, 3; prompt 1 a tie; prompt 2 one response."""
    table = rows([1, 0, 4, 2, 0, 9], [3, 1, 3, 3, 1, 2])
    assert make_pairs(table, "best_worst").tolist() == [[2, 0]]


def test_all_ordered_pairs_leave_ties_out():
    table = rows([1, 1, 2], [0, 0, 0])
    assert sorted(make_pairs(table, "all").tolist()) == [[2, 0], [2, 1]]


def test_adjacent_pairs_are_disjoint_and_keep_ties():
    table = rows([1, 2, 3, 3, 5], [0, 0, 0, 0, 0])
    assert make_pairs(table, "adjacent").tolist() == [[1, 0], [2, 3]]


def test_no_pair_at_all_is_an_error():
    with pytest.raises(UserError, match="no pairs"):
        make_pairs(rows([1, 1], [0, 0]), "best_worst")


ANNOTATED = [0, 0, 1, 1, -1, 2, 2, -1]  # three annotated pairs and two other rows of one prompt


@pytest.mark.parametrize("pairing", ["best_worst", "all", "adjacent"])
@pytest.mark.parametrize("gone", [None, *range(8)])
def test_annotated_pairs_keep_their_identity_whatever_is_left_out(pairing, gone):
    """Rewards 1 and 0 within each pair, 9 and 5 outside; a pair that lost a row is in no pair at all."""
    rewards, marks = [1, 0, 0, 1, 9, 1, 0, 5], np.array(ANNOTATED)
    expected = {(0, 1), (3, 2), (5, 6), (4, 7)}
    kept = np.array([i for i in range(8) if i != gone])
    table = dataclasses.replace(rows(rewards, [7] * 8), pairs=marks).take(kept)
    made = {(int(kept[i]), int(kept[j])) for i, j in make_pairs(table, pairing)}
    assert made == {pair for pair in expected if gone not in pair}
    partner = {0: 1, 1: 0, 2: 3, 3: 2, 5: 6, 6: 5}
    lonely = kept[lonely_rows(table.groups, table.pairs)].tolist()
    assert lonely == ([partner[gone]] if gone in partner else [])


@pytest.mark.parametrize("method", [DPO(), IPO(), REBEL()], ids=["dpo", "ipo", "rebel"])
def test_every_method_on_pairs_trains_on_all_annotated_ones(method):
    table = dataclasses.replace(rows([1, 0, 1, 0], [3, 3, 3, 3]), pairs=np.array([0, 0, 1, 1]))
    assert method.pairs(table).tolist() == [[0, 1], [2, 3]]
