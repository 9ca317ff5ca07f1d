"""Cohen's κ against hand-worked tables."""

import pytest

from rpo_bench.stats.kappa import cohens_kappa


def test_a_worked_table():
    """20 yes-yes, 15 no-no, 5 and 10 apart: observed 0.7, by chance 0.5, so κ = 0.4."""
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert cohens_kappa(first, second) == pytest.approx(0.4)


def test_full_agreement_and_none_beyond_chance():
    assert cohens_kappa("abab", "abab") == 1
    assert cohens_kappa("aabb", "abab") == 0


def test_one_category_alone_says_nothing():
    assert cohens_kappa("aaa", "aaa") is None
    assert cohens_kappa([], []) is None
