"""The declared comparisons: every difference in reward at equal KL with its interval."""

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from rpo_bench.analysis.board import Section
from rpo_bench.analysis.render import place, probability
from rpo_bench.analysis.report import Comparison
from rpo_bench.site.exhibit import Exhibit
from rpo_bench.site.palette import REFERENCE, Look
from rpo_bench.site.svg import Frame, Scale, figure, marker, nice_ticks, padded, tag, tick_text
from rpo_bench.terminal.visible import visible
from rpo_bench.wording import bounds, estimate, number, shortened

_ROW = 22.0
_TOP = 30.0
_BOTTOM = 44.0
_GROUP = 26.0

#: Beyond this many comparisons nothing is drawn; the table lists them.
_MOST = 80


def forest(section: Section, looks: Mapping[str, Look], name: str) -> Exhibit | None:
    """The exhibit; None where nothing was compared at equal KL."""
    declared = section.evidence.declared
    if declared is None or not (shown := _shown(declared.comparisons)):
        return None
    wide = Frame(820, _height(shown), left=230, right=216, top=_TOP, bottom=_BOTTOM)
    narrow = Frame(380, _height(shown), left=132, right=70, top=_TOP, bottom=_BOTTOM)
    drawn = len(shown) <= _MOST
    return Exhibit(
        title="Paired differences at equal KL",
        caption=_caption(section, shown),
        wide=_picture(section, shown, looks, wide, f"{name}-w") if drawn else None,
        narrow=_picture(section, shown, looks, narrow, f"{name}-n") if drawn else None,
        head=("Comparison", "At", "Difference in reward", "95 % interval", "p", "Adjusted p", "Verdict"),
        rows=tuple(_cells(one) for one in shown),
    )


def _shown(comparisons: Sequence[Comparison]) -> list[Comparison]:
    return [one for one in comparisons if one.primary and one.difference.point is not None]


def _groups(shown: Sequence[Comparison]) -> list[tuple[str, list[Comparison]]]:
    """(heading, comparisons): against SFT, RPO against each, or all together."""
    against = [one for one in shown if one.second == "sft"]
    rest = [one for one in shown if one.second != "sft"]
    first = {one.first for one in rest}
    heading = f"{next(iter(first))} against each other method" if len(first) == 1 else "all pairs"
    groups = (("each method against sft", against), (heading, rest))
    return [(text, sorted(of, key=_largest)) for text, of in groups if of]


def _largest(one: Comparison) -> tuple[float, str, str]:
    return -(one.difference.point or 0.0), one.first, one.second


def _height(shown: Sequence[Comparison]) -> float:
    return _TOP + _GROUP * len(_groups(shown)) + _ROW * len(shown) + _BOTTOM


def _picture(
    section: Section, shown: Sequence[Comparison], looks: Mapping[str, Look], frame: Frame, name: str
) -> Markup:
    ends = [end for one in shown for end in (one.difference.low, one.difference.point, one.difference.high)]
    x = Scale(*padded([0.0, *(end for end in ends if end is not None)], 0.04), *frame.x)
    body = [_axis(x, frame)]
    y = frame.top
    for heading, of in _groups(shown):
        body.append(tag("text", heading, class_="title", x=4, y=y + 15))
        y += _GROUP
        for one in of:
            other = one.second if one.second != "sft" else one.first
            look = looks.get(other, REFERENCE)
            body.append(_row(x, frame, one, look, y + _ROW / 2))
            y += _ROW
    better = sum(one.verdict == "better" for one in shown)
    worse = sum(one.verdict == "worse" for one in shown)
    title = f"Differences in reward at equal KL on {section.panel.task} with {section.panel.model}"
    summary = (
        f"{len(shown)} paired differences, first minus second: {better} better, {worse} worse, "
        f"{len(shown) - better - worse} within chance. The table below the plot has the numbers."
    )
    return figure(frame, title, summary, name, body)


def _axis(x: Scale, frame: Frame) -> Markup:
    bottom = frame.height - frame.bottom
    ticks = nice_ticks(x.low, x.high, 3 if frame.width < 500 else 6)
    parts = []
    for tick in ticks:
        style = "rule" if tick == 0 else "grid"
        parts.append(tag("line", class_=style, x1=x(tick), x2=x(tick), y1=frame.top, y2=bottom))
        parts.append(tag("text", tick_text(tick, ticks), class_="tick middle", x=x(tick), y=bottom + 17))
    titles = (("← second better", "end", -8.0), ("first better →", "start", 8.0))
    if frame.width >= 500:
        for text, side, shift in titles:
            parts.append(tag("text", text, class_=f"tick {side}", x=x(0.0) + shift, y=bottom + 35))
    parts.append(tag("text", "Difference in reward", class_="title", x=4, y=frame.top - 12))
    if frame.width >= 500:
        heads = (("difference [95 %]", frame.width - 76), ("adjusted p", frame.width))
        parts += [tag("text", text, class_="tick end", x=at, y=frame.top - 12) for text, at in heads]
    return tag("g", *parts, class_="yardstick")


def _row(x: Scale, frame: Frame, one: Comparison, look: Look, y: float) -> Markup:
    gap = one.difference
    decided = one.verdict in ("better", "worse")
    parts = [tag("title", _hint(one))]
    if gap.low is not None and gap.high is not None:
        parts.append(tag("line", class_="whisker", x1=x(gap.low), x2=x(gap.high), y1=y, y2=y))
    mark = marker(look, x(gap.point or 0.0), y, 4.5)
    parts.append(mark if decided else tag("g", mark, class_="open"))
    pair = f"{visible(one.first)} − {visible(one.second)}"
    label = shortened(pair, int((frame.left - 10) / 6.6))
    parts.append(tag("text", label, class_="pair end", x=frame.left - 10, y=y + 4))
    text = number(gap.point, 2) if frame.width < 500 else f"{number(gap.point)} {bounds(gap)}"
    edge = frame.width if frame.width < 500 else frame.width - 60
    parts.append(tag("text", text, class_=f"tick end{' strong' if decided else ''}", x=edge, y=y + 4))
    if frame.width >= 500:
        parts.append(tag("text", probability(one.adjusted_p), class_="tick end", x=frame.width, y=y + 4))
    return tag("g", *parts, class_=f"series {look.colour}")


def _hint(one: Comparison) -> str:
    return (
        f"{one.first} − {one.second}: {estimate(one.difference)}, adjusted p {probability(one.adjusted_p)}, "
        f"{one.verdict}"
    )


def _caption(section: Section, shown: Sequence[Comparison]) -> str:
    declared = section.evidence.declared
    seeds = {len(row.seeds) for row in section.rows if row.strength is not None}
    span = f"{min(seeds)}" if len(seeds) == 1 else f"{min(seeds)} to {max(seeds)}"
    where = place(shown[0])
    said = declared.words if declared is not None else ""
    caption = (
        f"Reward of the first minus that of the second at {where} ({said}). Bars are unadjusted 95 % "
        f"intervals over training seeds (n = {span}) and {section.prompts} shared prompts. p is adjusted by "
        f"Holm over these {len(shown)} comparisons; a filled mark means p ≤ 0.05, an open one a difference "
        "within chance."
    )
    return caption if len(shown) <= _MOST else f"{caption} There are too many to draw: see the table."


def _cells(one: Comparison) -> tuple[str, ...]:
    return (
        f"{one.first} − {one.second}",
        place(one),
        number(one.difference.point),
        bounds(one.difference),
        probability(one.p),
        probability(one.adjusted_p),
        one.verdict,
    )
