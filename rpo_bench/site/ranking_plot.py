"""The methods at one KL budget, best first: a mark with its interval on a common scale."""

from collections.abc import Mapping

from markupsafe import Markup

from rpo_bench.analysis.board import Section
from rpo_bench.analysis.ranking import Standing
from rpo_bench.analysis.render import ranks_text
from rpo_bench.site.frontier_plot import curves
from rpo_bench.site.palette import Look
from rpo_bench.site.svg import Frame, Scale, figure, marker, padded, tag
from rpo_bench.terminal.visible import visible
from rpo_bench.wording import bounds, estimate, number, shortened

_ROW = 23.0
_TALL_ROW = 31.0  # with the interval beneath the number
_TOP = 30.0
_BOTTOM = 26.0
_RANK = 54.0  # the column of ranks, at the right


def ranking_frame(section: Section, width: float, left: float, right: float, *, tall: bool = False) -> Frame:
    """A frame as high as a section has methods; tall rows have the interval beneath the number."""
    n = len(section.ranking.standings) if section.ranking else 0
    height = _TOP + (_TALL_ROW if tall else _ROW) * n + _BOTTOM
    return Frame(width, height, left=left, right=right, top=_TOP, bottom=_BOTTOM)


def ranking(section: Section, looks: Mapping[str, Look], frame: Frame, name: str) -> Markup | None:
    """The picture; None where the methods can't be ranked."""
    found = section.ranking
    if found is None:
        return None
    yardsticks = _yardsticks(section)
    ends = [end for one in found.standings for end in (one.reward.point, one.reward.low, one.reward.high)]
    values = [end for end in ends if end is not None] + [value for _, value in yardsticks]
    x = Scale(*padded(values, 0.03), *frame.x)
    row = (frame.y[0] - frame.y[1]) / len(found.standings)
    body = [
        tag("rect", class_="best", x=0, y=_TOP + row * i, width=frame.width, height=row)
        for i, one in enumerate(found.standings)
        if one.best
    ]
    body += [_yardstick(x, frame, label, value) for label, value in yardsticks]
    body.append(tag("text", "rank", class_="tick end", x=frame.width - 4, y=_TOP - 14))
    for i, one in enumerate(found.standings):
        parts = _row(x, frame, one, looks[one.label], (_TOP + row * i, row))
        body.append(tag("g", *parts, class_=f"series {looks[one.label].colour}", data_method=one.label))
    title = f"Reward at {found.budget:g} nats of KL"
    described = "; ".join(
        f"{one.label} {estimate(one.reward)}, rank {rank_text(one)}" for one in found.standings
    )
    return figure(frame, title, f"{described}.", name, body)


def rank_text(one: Standing) -> str:
    """``1–4``, ``16``, or a dash for an unranked method."""
    return ranks_text(one.ranks)


def _row(x: Scale, frame: Frame, one: Standing, look: Look, band: tuple[float, float]) -> list[Markup]:
    """A method's name, mark, interval and numbers on its band."""
    top, height = band
    y = top + height / 2
    parts = [tag("line", class_="row", x1=frame.x[0], x2=frame.x[1], y1=y, y2=y)]
    low, high = one.reward.low, one.reward.high
    if low is not None and high is not None:
        parts.append(tag("line", class_="whisker", x1=x(low), x2=x(high), y1=y, y2=y))
    parts.append(marker(look, x(one.reward.point or 0.0), y, 5.5))
    label = shortened(visible(one.label), int((frame.left - 18) / 7.4))
    parts.append(tag("text", label, class_="label end", x=frame.left - 12, y=y + 4.5))
    parts += _numbers(one, frame.width - _RANK, y, tall=height > _ROW)
    parts.append(tag("text", rank_text(one), class_="ranks end", x=frame.width - 4, y=y + 4.5))
    return parts


def _numbers(one: Standing, right: float, y: float, *, tall: bool) -> list[Markup]:
    """The reward and its interval, ending at ``right``: in one line, or the interval beneath."""
    value, interval = number(one.reward.point), bounds(one.reward)
    if tall:
        return [
            tag("text", value, class_="value end", x=right, y=y - 1),
            tag("text", interval, class_="small end", x=right, y=y + 12),
        ]
    return [
        tag("text", value, class_="value end", x=right - 108, y=y + 4.5),
        tag("text", interval, class_="small end", x=right, y=y + 4),
    ]


def _yardsticks(section: Section) -> list[tuple[str, float]]:
    """The untrained policy's reward, and the oracle's at the budget."""
    found = []
    if section.ranking and section.ranking.reference.point is not None:
        found.append(("reference", section.ranking.reference.point))
    best = budget_oracle(section)
    return found if best is None else [*found, ("oracle", best)]


def budget_oracle(section: Section) -> float | None:
    """The oracle's reward at the budget; None without an oracle that is reliable there."""
    if section.ranking is None or section.oracle is None or section.ranking.budget > section.oracle.end:
        return None
    return curves(section.oracle).at(section.ranking.budget)


def _yardstick(x: Scale, frame: Frame, label: str, value: float) -> Markup:
    bottom = frame.height - frame.bottom
    line = tag("line", class_="rule", x1=x(value), x2=x(value), y1=frame.top - 6, y2=bottom)
    side = "start" if x(value) < frame.left + 60 else "end" if x(value) > frame.x[1] - 60 else "middle"
    name = tag("text", label, class_=f"tick {side}", x=x(value), y=frame.top - 14)
    text = tag("text", number(value, 2), class_=f"tick {side}", x=x(value), y=bottom + 17)
    return tag("g", line, name, text, class_="yardstick")
