"""A line plot: one line with marks per method over a quantity such as steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from rpo_bench.site.palette import Look
from rpo_bench.site.svg import (
    Axes,
    EndLabel,
    Frame,
    ListedLabel,
    Scale,
    end_labels,
    figure,
    listed_labels,
    marker,
    padded,
    path,
    tag,
)

_WIDE = Frame(820, 360, left=56, right=190, top=30)
_NARROW = Frame(380, 300, left=46, right=96, top=30)
_TIED = 8  # up to this many names are connected to their lines; more are listed


@dataclass(frozen=True)
class Line:
    """One method's points.

    Attributes:
        method: its label.
        points: (x, y), by x.
    """

    method: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Titles:
    """The texts of a plot.

    Attributes:
        title: for screen readers.
        summary: its description, for screen readers.
        x: title of the horizontal axis.
        y: title of the vertical axis.
    """

    title: str
    summary: str
    x: str
    y: str


def pictures(
    lines: Sequence[Line], looks: Mapping[str, Look], titles: Titles, name: str
) -> tuple[Markup, Markup]:
    """The plot for wide screens and the one for phones; ``name`` is the prefix of their element ids."""
    return (
        _picture(lines, looks, titles, _WIDE, f"{name}-w", letters=24),
        _picture(lines, looks, titles, _NARROW, f"{name}-n", letters=10),
    )


def _picture(
    lines: Sequence[Line], looks: Mapping[str, Look], titles: Titles, frame: Frame, name: str, letters: int
) -> Markup:
    points = [point for line in lines for point in line.points]
    x = Scale(*padded([at for at, _ in points], 0.03), *frame.x)
    y = Scale(*padded([value for _, value in points]), *frame.y)
    axes = Axes(frame, x, y, titles.x, titles.y, (6 if frame is _WIDE else 4, 5))
    drawn = [_drawn(axes, line, looks[line.method]) for line in lines]
    names = _names(axes, lines, looks, letters)
    return figure(frame, titles.title, titles.summary, name, [axes.draw(), *drawn, names])


def _drawn(axes: Axes, line: Line, look: Look) -> Markup:
    at = [(axes.x(x), axes.y(y)) for x, y in line.points]
    marks = [marker(look, x, y, 4) for x, y in at]
    between = [path(at, class_="fit")] if len(at) > 1 else []
    return tag("g", *between, *marks, class_=f"series {look.colour}", data_method=line.method)


def _names(axes: Axes, lines: Sequence[Line], looks: Mapping[str, Look], letters: int) -> Markup:
    if len(lines) > _TIED:
        listed = [ListedLabel(line.method, looks[line.method], line.method) for line in lines]
        return listed_labels(listed, axes.frame, axes.frame.top, letters - 2)
    ends = [
        EndLabel(
            line.method, looks[line.method].colour, axes.x(line.points[-1][0]), axes.y(line.points[-1][1])
        )
        for line in lines
    ]
    return end_labels(ends, axes.frame, letters)
