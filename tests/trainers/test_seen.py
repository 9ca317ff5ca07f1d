"""What a training saw, counted by hand."""

import numpy as np

from trainers.seen import seen_offline


def test_single_rows():
    """Ten rows, of which a method chose the six of three prompts; two steps of four show five of them."""
    units, groups = np.arange(6)[:, None], np.array([0, 0, 1, 1, 2, 2])
    seen = seen_offline(units, groups, np.array([[0, 1, 2, 3], [4, 0, 1, 2]]), rows=10)
    assert (seen.rows, seen.rows_used, seen.prompts, seen.presentations) == (10, 5, 3, 8)
    assert seen.epochs == 8 / 6
    assert seen.pairs is seen.pairs_used is None


def test_pairs_leave_rows_unused():
    """Best and worst of four responses to each of three prompts: half of the rows; one pair never comes."""
    units, groups = np.array([[0, 3], [5, 6], [8, 11]]), np.repeat([0, 1, 2], 4)
    seen = seen_offline(units, groups, np.array([[0, 1], [1, 0]]), rows=12)
    assert (seen.rows, seen.rows_used, seen.prompts, seen.presentations) == (12, 4, 2, 8)
    assert (seen.pairs, seen.pairs_used, seen.epochs) == (3, 2, 4 / 3)
