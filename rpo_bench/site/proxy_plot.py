"""Proxy against gold: gain in the training reward and in the gold reward over √KL."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup

from rpo_bench.analysis.board import Section
from rpo_bench.analysis.proxy_gold import Gains, Traced
from rpo_bench.site.exhibit import Exhibit
from rpo_bench.site.palette import Look
from rpo_bench.site.svg import Axes, Frame, Scale, figure, padded, path, tag
from rpo_bench.stats.interval import Interval
from rpo_bench.stats.overoptimisation import Curve
from rpo_bench.wording import DASH, bounds, estimate, number

_FRAME = Frame(300, 200, left=40, right=10, top=12, bottom=44)
_STEPS = 24


def proxy_against_gold(section: Section, looks: Mapping[str, Look], name: str) -> Exhibit | None:
    """The exhibit; None where no method has both rewards at two strengths."""
    found = section.evidence.traced
    if not found:
        return None
    seeds = sorted({one.row.seeds for one in found})
    span = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    axes = _axes(found)
    return Exhibit(
        title="Proxy against gold reward",
        caption=(
            "Gain over the reference policy in the gold reward (filled, solid) and in the proxy (open, "
            "dashed) over √KL. Marks are strengths; lines are fits d(α − βd) with d = √KL. Where gold peaks "
            "before the furthest strength, the vertical line marks the peak and the band its interval. "
            f"95 % intervals over training seeds (n = {span}) and {section.prompts} prompts."
        ),
        grid=tuple(
            (one.row.method, _picture(section, one, looks[one.row.method], axes, f"{name}-{i}"))
            for i, one in enumerate(found)
        ),
        head=(
            "Method",
            "Seeds",
            "Furthest KL",
            "Gold peaks at (nats)",
            "Peaks in",
            "Decline after the peak",
            "Proxy − gold at the end",
        ),
        rows=tuple(_cells(one) for one in found),
    )


def _axes(found: Sequence[Traced]) -> Axes:
    points = [point for one in found for point in one.points]
    ends = [v for p in points for one in (p.proxy, p.gold) for v in (one.point, one.low, one.high)]
    far = max(math.sqrt(max(point.kl, 0.0)) for point in points) or 1.0
    x = Scale(0.0, far * 1.05, *_FRAME.x)
    y = Scale(*padded([0.0, *(value for value in ends if value is not None)], 0.04), *_FRAME.y)
    return Axes(_FRAME, x, y, "√KL, √nats", "", (4, 4))


def _picture(section: Section, one: Traced, look: Look, axes: Axes, name: str) -> Markup:
    body = [axes.draw(), *_peak(one, axes)]
    far = math.sqrt(max(one.row.furthest_kl, 0.0))
    lines = [_line(one.proxy, far, axes, "fit proxy"), _line(one.gold, far, axes, "fit")]
    marks = [_mark(point, point.proxy, axes, "ring") for point in one.points]
    marks += [_mark(point, point.gold, axes, "dot") for point in one.points]
    body.append(tag("g", *lines, *marks, class_=f"series {look.colour}"))
    title = f"Proxy and gold gain of {one.row.method} on {section.panel.task} with {section.panel.model}"
    last = one.points[-1]
    summary = (
        f"At its furthest strength, {number(one.row.furthest_kl, 2)} nats, gold gains "
        f"{estimate(last.gold, 2)} and the proxy {estimate(last.proxy, 2)}; gold peak: {_peak_text(one)}."
    )
    return figure(_FRAME, title, summary, name, body)


def _peak(one: Traced, axes: Axes) -> list[Markup]:
    """The vertical line at gold's peak and the band of its interval; empty without a peak."""
    at = one.row.peak_kl
    if at.point is None:
        return []
    bottom, top = axes.frame.y
    parts = []
    if at.low is not None:
        left = axes.x(math.sqrt(max(at.low, 0.0)))
        right = axes.x(math.sqrt(at.high)) if at.high is not None else axes.x.end
        parts.append(tag("rect", class_="band", x=left, y=top, width=right - left, height=bottom - top))
    x = axes.x(math.sqrt(at.point))
    parts.append(tag("line", class_="rule", x1=x, x2=x, y1=top, y2=bottom))
    return [tag("g", *parts, class_="yardstick")]


def _line(curve: Curve, far: float, axes: Axes, style: str) -> Markup:
    if not math.isfinite(float(curve.alpha)):
        return Markup("")
    steps = np.linspace(0.0, far, _STEPS)
    heights = curve.gain(steps)
    return path([(axes.x(d), axes.y(g)) for d, g in zip(steps, heights, strict=True)], class_=style)


def _mark(point: Gains, one: Interval, axes: Axes, style: str) -> Markup:
    x, y = axes.x(math.sqrt(max(point.kl, 0.0))), axes.y(one.point or 0.0)
    parts = []
    if one.low is not None and one.high is not None:
        parts.append(tag("line", class_="bar", x1=x, x2=x, y1=axes.y(one.low), y2=axes.y(one.high)))
    parts.append(tag("circle", class_=f"mark {style}", cx=x, cy=y, r=3.6))
    return tag("g", *parts)


def _cells(one: Traced) -> tuple[str, ...]:
    row = one.row
    return (
        row.method,
        str(row.seeds),
        number(row.furthest_kl, 2),
        _peak_text(one),
        f"{100 * row.peaked:.0f} % of resamples",
        estimate(row.decline, 2),
        estimate(row.gap, 2),
    )


def _peak_text(one: Traced) -> str:
    """``1.15 [0.89, 1.60]``, or a note that gold has no peak within the strengths run."""
    at = one.row.peak_kl
    ends = bounds(at, 2) or (f"[{number(at.low, 2)}, …]" if at.low is not None else "")
    point = "none within its strengths" if at.point is None else number(at.point, 2)
    return f"{point} {ends}".strip() or DASH
