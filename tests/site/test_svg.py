"""The drawing parts: escaped text, round ticks, labels that don't overlap."""

import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest

from rpo_bench.site.palette import COLOURS, SHAPES, looks
from rpo_bench.site.svg import Scale, key, nice_ticks, padded, path, spread_out, tag, tick_text


def test_text_and_attributes_are_escaped():
    element = tag("text", "</svg><script>x</script>\u202e", class_='a" onload="x', x=1.04)
    parsed = ET.fromstring(str(element))
    assert parsed.text == "</svg><script>x</script>⟨U+202E⟩"
    assert parsed.attrib == {"class": 'a" onload="x', "x": "1"}


def test_elements_nest_without_being_escaped_twice():
    assert (
        str(tag("g", tag("text", "a & b"), data_method="x"))
        == '<g data-method="x"><text>a &amp; b</text></g>'
    )


@pytest.mark.parametrize(
    ("low", "high", "about", "ticks"),
    [
        (0, 1, 5, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (-0.35, 0.8, 6, [-0.2, 0, 0.2, 0.4, 0.6, 0.8]),
        (0, 300, 4, [0, 100, 200, 300]),
        (0.1231, 0.1239, 4, [0.1232, 0.1234, 0.1236, 0.1238]),
    ],
)
def test_ticks_are_round_numbers(low, high, about, ticks):
    assert nice_ticks(low, high, about) == pytest.approx(ticks)


def test_ticks_of_a_square_root_scale_are_round_and_keep_their_distance():
    scale = Scale(0, 20, 0, 600, root=True)
    ticks = scale.ticks(6)
    assert ticks == [0, 0.5, 2, 5, 10, 20]
    places = [scale(tick) for tick in ticks]
    assert min(b - a for a, b in pairwise(places)) > 60


def test_tick_labels_have_the_decimals_that_they_need():
    assert [tick_text(t, [0, 0.5, 1]) for t in (0, 0.5, 1)] == ["0.0", "0.5", "1.0"]
    assert tick_text(-20, [-20, 0]) == "−20"


def test_scales_hold_what_lies_beyond_their_ends():
    linear, root = Scale(0, 2, 100, 300), Scale(0, 4, 0, 100, root=True)
    assert [linear(1), linear(-5), linear(9)] == [200, 100, 300]
    assert root(1) == 50


def test_a_range_is_never_empty():
    assert padded([3.0, 3.0])[0] < 3 < padded([3.0, 3.0])[1]
    assert padded([0.0])[0] < 0 < padded([0.0])[1]


@pytest.mark.parametrize("wanted", [[50, 50, 50], [0, 1, 99, 100], [100, 100], [10]])
def test_labels_keep_their_order_and_distance(wanted):
    placed = spread_out(wanted, 16, 0, 100)
    assert all(0 <= one <= 100 for one in placed)
    ordered = sorted(placed)
    assert all(b - a >= 16 - 1e-9 for a, b in pairwise(ordered))
    assert [placed[i] for i in sorted(range(len(wanted)), key=lambda i: (wanted[i], i))] == ordered


def test_labels_share_what_room_there_is():
    assert spread_out([5] * 5, 16, 0, 40) == pytest.approx([0, 10, 20, 30, 40])


def test_coordinates_are_short_and_have_no_minus_zero():
    assert 'd="M0 1.2L10 3"' in str(path([(-0.001, 1.23), (10.0, 2.99)]))


def test_forty_nine_methods_look_different_and_order_does_not_matter():
    names = [f"m{i:02}" for i in range(COLOURS * len(SHAPES))]
    found = looks(names)
    assert len(set(found.values())) == 49
    assert looks(names[::-1]) == found


def test_every_shape_is_drawn():
    drawings = {str(key(look)) for look in looks(map(str, range(7))).values()}
    assert len(drawings) == 7
    for drawing in drawings:
        ET.fromstring(drawing)
