"""Text on the board: nothing unseen, nothing reordered, numbers in few digits."""

import pytest

from rpo_bench.stats.interval import Interval
from rpo_bench.terminal.visible import visible
from rpo_bench.wording import bounds, counted, estimate, listed, number, shortened, strength_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rpo(partition=leave_one_out)", "rpo(partition=leave_one_out)"),
        ("τ and 日本語 and naïve", "τ and 日本語 and naïve"),
        ("rpo\u202egnp.exe", "rpo⟨U+202E⟩gnp.exe"),
        ("a\u2066b\u2069", "a⟨U+2066⟩b⟨U+2069⟩"),
        ("zero\u200bwidth", "zero⟨U+200B⟩width"),
        ("bell\x07 null\x00", "bell⟨U+0007⟩ null⟨U+0000⟩"),
        ("lone \udc80 surrogate", "lone ⟨U+DC80⟩ surrogate"),
        ("tag \U000e0041", "tag ⟨U+E0041⟩"),
        ("line\nbreak", "line⟨U+000A⟩break"),
    ],
)
def test_what_cannot_be_seen_is_spelt_out(text, shown):
    assert visible(text) == shown
    visible(text).encode()


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [
        (0.41249, 3, "0.412"),
        (-0.5, 2, "−0.50"),
        (-0.0001, 3, "0.000"),
        (None, 3, "–"),
        (float("nan"), 3, "–"),
    ],
)
def test_numbers(value, digits, shown):
    assert number(value, digits) == shown


def test_an_estimate_shows_its_bounds_where_it_has_them():
    one = Interval(point=0.5, low=-0.1, high=1.1, method="bootstrap", n=3)
    assert (bounds(one), estimate(one, 1)) == ("[−0.100, 1.100]", "0.5 [−0.1, 1.1]")
    assert estimate(Interval(point=0.5, method="none", n=1)) == "0.500"


def test_words():
    assert [listed(list("abc")), listed(["a", "b"]), listed(["a"]), listed([])] == [
        "a, b and c",
        "a and b",
        "a",
        "",
    ]
    assert [counted(1, "seed"), counted(1200, "seed")] == ["1 seed", "1,200 seeds"]
    assert shortened("rpo(partition=leave_one_out)", 8) == "rpo(par…"
    assert [strength_text("tau", 0.3), strength_text("k", 4), strength_text("", 0.0)] == [
        "τ = 0.3",
        "k = 4",
        "",
    ]
