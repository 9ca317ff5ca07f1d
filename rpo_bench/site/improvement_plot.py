"""Probability of improvement: how often a training run of one method earns more than one of another."""

from markupsafe import Markup

from rpo_bench.analysis.board import Section
from rpo_bench.analysis.evidence import Wins
from rpo_bench.analysis.improvement import separated
from rpo_bench.site.exhibit import Exhibit
from rpo_bench.site.svg import Frame, figure, tag
from rpo_bench.stats.interval import Interval
from rpo_bench.terminal.visible import visible
from rpo_bench.wording import DASH, shortened

#: Beyond this many methods nothing is drawn; the table lists them.
_MOST = 32


def improvement_matrix(section: Section, name: str) -> Exhibit | None:
    """The exhibit; None where fewer than two methods have two runs each."""
    found = section.evidence.wins
    if found is None or section.ranking is None:
        return None
    n = len(found.labels)
    step, small = min(46.0, 700.0 / n), min(30.0, 232.0 / n)
    wide = Frame(150 + step * n + 60, 90 + step * n, left=150, right=60, top=84, bottom=6)
    narrow = Frame(104 + small * n + 40, 84 + small * n, left=104, right=40, top=78, bottom=6)
    drawn = n <= _MOST
    runs = (
        f"{min(found.seeds)}" if len(set(found.seeds)) == 1 else f"{min(found.seeds)} to {max(found.seeds)}"
    )
    caption = (
        "Probability, in per cent, that a training run of the row’s method earns more reward at "
        f"{section.ranking.budget:g} nats than a run of the column’s method. n = {runs} runs each; 95 % "
        "bootstrap intervals over runs and prompts, not adjusted. Bold with a dot: the interval excludes "
        "50 %, or the runs never overlap and are too many for that to be chance."
    )
    return Exhibit(
        title="Probability of improvement",
        caption=caption if drawn else f"{caption} There are too many methods to draw: see the table.",
        wide=_picture(section, found, wide, f"{name}-w") if drawn else None,
        narrow=_picture(section, found, narrow, f"{name}-n") if drawn else None,
        head=("Row over column", "Probability", "95 % interval", "Runs"),
        rows=tuple(
            (f"{a} over {b}", _share(one.point), _range(one), f"{found.seeds[i]} × {found.seeds[j]}")
            for i, a in enumerate(found.labels)
            for j, b in enumerate(found.labels[i + 1 :], start=i + 1)
            for one in (found.table[i][j],)
        ),
    )


def _picture(section: Section, found: Wins, frame: Frame, name: str) -> Markup:
    n = len(found.labels)
    step = (frame.x[1] - frame.x[0]) / n
    body = []
    for i, label in enumerate(found.labels):
        middle = frame.top + (i + 0.5) * step
        text = shortened(visible(label), int((frame.left - 10) / 7))
        body.append(tag("text", text, class_="pair end", x=frame.left - 8, y=middle + 4))
        at = frame.left + (i + 0.5) * step
        turned = f"rotate(-50 {at:.1f} {frame.top - 8:.1f})"
        short = shortened(visible(label), 12 if step >= 28 else 9)
        body.append(tag("text", short, class_="pair", x=at, y=frame.top - 8, transform=turned))
        body += [
            _cell(found, i, j, frame.left + j * step, frame.top + i * step, step) for j in range(n) if i != j
        ]
    title = f"Probability of improvement on {section.panel.task} with {section.panel.model}"
    first = found.labels[0]
    shown = [
        one
        for one, seeds in zip(found.table[0], found.seeds, strict=True)
        if _decided(one, found.seeds[0], seeds) and (one.point or 0.0) > 0.5
    ]
    summary = (
        f"{n} methods, best first, each a row and a column. {first} wins more than half of the runs against "
        f"{len(shown)} of the {n - 1} others, beyond chance. The table below the plot has the numbers."
    )
    return figure(frame, title, summary, name, body)


def _cell(found: Wins, i: int, j: int, x: float, y: float, step: float) -> Markup:
    one = found.table[i][j]
    share = one.point if one.point is not None else 0.5
    roomy, decided = step >= 28, _decided(one, found.seeds[i], found.seeds[j])
    box = tag(
        "rect",
        *([_hint(found, i, j)] if roomy else []),
        class_="won" if share > 0.5 else "lost",
        x=x + 0.5,
        y=y + 0.5,
        width=step - 1,
        height=step - 1,
        fill_opacity=f"{0.04 + 1.2 * abs(share - 0.5):.2f}",
    )
    parts = [box]
    if roomy:
        text = f"{100 * share:.0f}" if one.point is not None else DASH
        style = "value middle" if decided else "pair middle"
        parts.append(tag("text", text, class_=style, x=x + step / 2, y=y + step / 2 + 4))
    if decided:
        below = y + step - (6.0 if roomy else step / 2)
        parts.append(tag("circle", class_="dot", cx=x + step / 2, cy=below, r=1.7))
    return Markup("").join(parts)


def _hint(found: Wins, i: int, j: int) -> Markup:
    one = found.table[i][j]
    return tag("title", f"{found.labels[i]} over {found.labels[j]}: {_share(one.point)} {_range(one)}")


def _decided(one: Interval, first: int, second: int) -> bool:
    """Whether the probability differs from 50 % beyond chance; runs that never overlap have no interval."""
    if one.low is not None and one.high is not None:
        return not one.low <= 0.5 <= one.high
    return one.point in (0.0, 1.0) and separated(first, second)


def _share(value: float | None) -> str:
    return DASH if value is None else f"{100 * value:.0f} %"


def _range(one: Interval) -> str:
    if one.low is None or one.high is None:
        return ""
    return f"[{100 * one.low:.0f}, {100 * one.high:.0f}]"
