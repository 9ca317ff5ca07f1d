"""Scatter plots of one measure against another: a mark per row, a line per series."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from rpo_bench.analysis.board import Section
from rpo_bench.analysis.rows import BoardRow
from rpo_bench.site.columns import COLUMNS, Column
from rpo_bench.site.palette import REFERENCE, Look
from rpo_bench.site.svg import Axes, Frame, Scale, figure, marker, padded, path, tag
from rpo_bench.stats.interval import Interval
from rpo_bench.wording import counted, estimate, listed, strength_text

_COLUMN = {column.metric: column for column in COLUMNS}


@dataclass(frozen=True)
class Dot:
    """A row's position in a plot."""

    row: BoardRow
    x: Interval
    y: Interval

    @property
    def at(self) -> tuple[float, float]:
        """Its point estimates."""
        return self.x.point or 0.0, self.y.point or 0.0


@dataclass(frozen=True)
class Trade:
    """One measure against another, for the rows that have both.

    Attributes:
        dots: Series → its dots, by KL where they have one; the reference policy's under "".
    """

    x: Column
    y: Column
    dots: Mapping[str, tuple[Dot, ...]]


def trade(section: Section, x: str, y: str) -> Trade | None:
    """A section's rows as dots; None when no trained checkpoint has both measures."""
    dots: dict[str, list[Dot]] = {}
    for row in section.rows:
        if row.point(x) is not None and row.point(y) is not None:
            name = "" if row.strength is None else row.method
            dots.setdefault(name, []).append(Dot(row, row.values[x].interval, row.values[y].interval))
    if not set(dots) - {""}:
        return None
    return Trade(_COLUMN[x], _COLUMN[y], {name: tuple(sorted(of, key=_kl)) for name, of in dots.items()})


def _kl(dot: Dot) -> float:
    return dot.row.point("kl") or 0.0


def scatter(
    section: Section, x: str, y: str, looks: Mapping[str, Look], frame: Frame, name: str
) -> Markup | None:
    """The plot of one measure against another; None where no trained checkpoint has both."""
    found = trade(section, x, y)
    if found is None:
        return None
    axes = axes_of(found, frame)
    title = f"{found.y.title} against {found.x.title.lower()} on {section.panel.task}"
    summary = f"{series_summary(found)} The table has the numbers."
    return figure(frame, title, summary, name, [axes.draw(), *draw_dots(axes, found, looks, 4.0)])


def series_summary(found: Trade) -> str:
    """The series in a plot, for screen readers."""
    series = [name for name in found.dots if name]
    return f"{listed(series)}, a mark for each strength, with 95 % intervals."


def axes_of(found: Trade, frame: Frame, heights: Sequence[float] = (), reach: float | None = None) -> Axes:
    """Scales that hold all dots with their intervals, and the given heights.

    Args:
        found: The dots.
        frame: The plot's frame.
        heights: Further values on the vertical axis.
        reach: End of the KL axis in nats, if not at the last dot; heights of dots beyond it don't count.
    """
    dots = [dot for of in found.dots.values() for dot in of if reach is None or dot.at[0] <= reach]
    xs = [value for dot in dots for value in _ends(dot.x)]
    ys = [value for dot in dots for value in _ends(dot.y)]
    if reach is not None:
        x = Scale(0.0, reach, *frame.x, beyond=True)
    else:
        x = _kl_scale(found, frame) if found.x.metric == "kl" else Scale(*padded(xs), *frame.x)
    y = Scale(*padded([*ys, *heights]), *frame.y, beyond=reach is not None)
    titles = (_axis_title(found.x, "→", "←"), _axis_title(found.y, "↑", "↓"))
    bent = " (square-root scale)" if x.root else ""
    return Axes(frame, x, y, titles[0] + bent, titles[1], (int(frame.width // 90), 6))


def _kl_scale(found: Trade, frame: Frame) -> Scale:
    """From zero to the furthest method; square-root scale where a few go much further than most."""
    trained = [dot for name, of in found.dots.items() if name for dot in of]
    right = kl_edge(found)
    middle = sorted(dot.at[0] for dot in trained)[len(trained) // 2]
    return Scale(0.0, right, *frame.x, root=right > 4 * middle)


def kl_edge(found: Trade) -> float:
    """The end of the KL axis in nats."""
    ends = [value for of in found.dots.values() for dot in of for value in _ends(dot.x)]
    return max(ends) * 1.04 if max(ends) > 0 else 1.0


def _axis_title(column: Column, higher: str, lower: str) -> str:
    arrow = {"higher": f" {higher} better", "lower": f" {lower} better", "": ""}[column.better]
    return f"{column.title}{f', {column.unit}' if column.unit else ''}{arrow}"


def _ends(one: Interval) -> list[float]:
    return [value for value in (one.point, one.low, one.high) if value is not None]


def draw_dots(axes: Axes, found: Trade, looks: Mapping[str, Look], size: float) -> list[Markup]:
    """Interval bars, line and marks of every series."""
    groups = []
    for name, of in found.dots.items():
        look = looks[name] if name else REFERENCE
        at = [(axes.x(dot.at[0]), axes.y(dot.at[1])) for dot in of]
        parts = [_bars(axes, dot) for dot in of]
        if len(at) > 1:
            parts.append(path(at, class_="line"))
        for dot, place in zip(of, at, strict=True):
            parts.append(tag("g", tag("title", _hint(dot, found)), marker(look, *place, size)))
        groups.append(tag("g", *parts, class_=f"series {look.colour}", data_method=of[0].row.method))
    return groups


def _bars(axes: Axes, dot: Dot) -> Markup:
    x, y = axes.x(dot.at[0]), axes.y(dot.at[1])
    parts = []
    if dot.x.low is not None and dot.x.high is not None:
        parts.append(tag("line", class_="bar", x1=axes.x(dot.x.low), x2=axes.x(dot.x.high), y1=y, y2=y))
    if dot.y.low is not None and dot.y.high is not None:
        parts.append(tag("line", class_="bar", x1=x, x2=x, y1=axes.y(dot.y.low), y2=axes.y(dot.y.high)))
    return Markup("").join(parts)


def _hint(dot: Dot, found: Trade) -> str:
    """The tooltip of a dot."""
    strength = strength_text(dot.row.strength_name, dot.row.strength)
    x = f"{found.x.title} {estimate(dot.x, found.x.digits)}"
    y = f"{found.y.title} {estimate(dot.y, found.y.digits)}"
    return f"{f'{dot.row.method} {strength}'.strip()}: {y}, {x}, {counted(len(dot.row.seeds), 'seed')}"
