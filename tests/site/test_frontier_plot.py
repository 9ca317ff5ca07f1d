"""The frontier's picture: names that can be read, and the crowded part once more where there is one."""

import re
from itertools import pairwise

import pytest
from worlds import write_points

from rpo_bench.analysis.board import make_board
from rpo_bench.results.store import read_results
from rpo_bench.site.clipping import last_within
from rpo_bench.site.frontier_plot import close_reach, frontier
from rpo_bench.site.palette import looks
from rpo_bench.site.svg import Frame

FRAME = Frame(1180, 500, left=56, right=150, top=36, bottom=52)


def section_of(tmp_path, methods):
    (section,) = make_board(read_results(write_points(tmp_path, methods))).sections
    return section


def drawn(section, reach=None):
    names = looks(series.label for series in section.panel.trained)
    return frontier(section, names, FRAME, "x", reach)


def one(kl, reward):
    return {0.1: [(kl, reward)] * 2}


def test_few_names_are_tied_to_the_ends_of_their_lines(tmp_path):
    picture = drawn(section_of(tmp_path, {name: one(1.0, i / 9) for i, name in enumerate("abc")}))
    assert picture.count('class="leader"') == 4
    assert 'class="named' not in picture


def test_many_names_are_listed_by_height_and_tied_to_nothing(tmp_path):
    picture = drawn(section_of(tmp_path, {name: one(1.0, i / 9) for i, name in enumerate("abcdefghi")}))
    assert picture.count('class="leader"') == 0
    names = re.findall(r'class="named [^"]+" data-method="([^"]+)"', picture)
    assert names == [*"ihgfedcb", "reference", "a"]
    heights = [float(y) for y in re.findall(r'class="label" x="[^"]+" y="([^"]+)"', picture)]
    assert heights == sorted(heights)
    assert min(b - a for a, b in pairwise(heights)) >= 16


def test_what_is_crowded_by_one_that_went_far_is_drawn_once_more(tmp_path):
    """Half of three methods reach 1 nat, c goes to 9: the second picture ends at 1.6, and c isn't in it."""
    section = section_of(tmp_path, {"a": one(1.0, 0.5), "b": one(1.0, 0.6), "c": one(9.0, -2.0)})
    assert close_reach(section) == 1.6
    picture = drawn(section, close_reach(section))
    assert "up to 1.6 nats" in picture
    assert "1 nats" in picture
    ticks = [float(t.replace("−", "-")) for t in re.findall(r'class="tick end"[^>]*>([^<]+)<', picture)]
    assert min(ticks) > -1


def test_what_is_not_crowded_is_drawn_once(tmp_path):
    assert close_reach(section_of(tmp_path, {"a": one(1.0, 0.5), "b": one(2.0, 0.6)})) is None


def test_ties_of_lines_that_run_on_beyond_the_picture_stay_within_it(tmp_path):
    """c passes 1 nat and runs on to 9, d falls out of the picture, e is beyond it from its first strength."""
    two = lambda near, far: {1.0: [near] * 2, 0.1: [far] * 2}  # noqa: E731
    methods = {"a": one(1.0, 0.5), "b": one(1.0, 0.6), "c": two((0.8, 0.4), (9.0, 2.0))}
    methods |= {"d": two((0.9, 0.2), (1.2, -30.0)), "e": two((7.0, 0.1), (8.0, 0.2))}
    section = section_of(tmp_path, methods)
    reach = close_reach(section)
    assert reach is not None
    picture = drawn(section, reach)
    (left, right), (bottom, top) = FRAME.x, FRAME.y
    ties = re.findall(r'<path d="M([^"]+)" fill="none" class="leader"', picture)
    for tie in ties:
        points = [tuple(map(float, point.split())) for point in tie.split("L")]
        assert all(left <= x <= right + 14 and top - 1 <= y <= bottom + 1 for x, y in points), tie
    labels = re.findall(r'class="label" x="[^"]+" y="[^"]+">([^<]+)<', picture)
    assert len(ties) == len(labels)
    assert set(labels) == {"reference", "a", "b", "c", "d"}


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([(100, 100), (200, 200)], (200, 200)),
        ([(100, 100), (2000, 100)], (1030, 100)),
        ([(100, 100), (100, -900)], (100, 36)),
        ([(100, 100), (2000, 100), (3000, 900)], (1030, 100)),
        ([(-100, 100), (2000, 100)], (1030, 100)),
        ([(2000, 100), (3000, 100)], None),
        ([(2000, 100)], None),
        ([(100, 100)], (100, 100)),
    ],
)
def test_where_a_line_is_last_within_the_picture(points, expected):
    assert last_within(points, FRAME) == (None if expected is None else pytest.approx(expected))
