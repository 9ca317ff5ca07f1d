"""Pairs out of scored rows."""

import numpy as np
import pytest

from trainers.errors import UserError
from trainers.examples import Examples
from trainers.pairs import make_pairs


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
