"""The last point of a line inside the plotting area."""

from collections.abc import Sequence
from itertools import pairwise

from rpo_bench.site.svg import Frame

Point = tuple[float, float]


def last_within(points: Sequence[Point], frame: Frame) -> Point | None:
    """The last position, in pixels, of a line through points inside the plotting area, or None."""
    ends = list(pairwise(points)) or [(points[0], points[0])]
    for start, end in reversed(ends):
        share = _leaves(start, end, frame)
        if share is not None:
            return start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])
    return None


def _leaves(start: Point, end: Point, frame: Frame) -> float | None:
    """The fraction of the segment at which it leaves the plotting area (Liang–Barsky)."""
    (left, right), (bottom, top) = frame.x, frame.y
    first, last = 0.0, 1.0
    for place, way, low, high in (
        (start[0], end[0] - start[0], left, right),
        (start[1], end[1] - start[1], top, bottom),
    ):
        if way == 0:
            if not low <= place <= high:
                return None
            continue
        enters, leaves = sorted(((low - place) / way, (high - place) / way))
        first, last = max(first, enters), min(last, leaves)
    return last if first <= last else None
