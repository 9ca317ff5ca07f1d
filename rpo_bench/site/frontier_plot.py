"""The KL–reward frontier: the methods, the untrained policy, the oracle above them and best-of-n."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from rpo_bench.analysis.board import Section
from rpo_bench.site.clipping import last_within
from rpo_bench.site.palette import REFERENCE, Look
from rpo_bench.site.svg import (
    Axes,
    EndLabel,
    Frame,
    ListedLabel,
    clipped,
    end_labels,
    figure,
    listed_labels,
    path,
    tag,
)
from rpo_bench.site.trade_offs import Trade, axes_of, draw_dots, kl_edge, series_summary, trade
from rpo_bench.stats.oracle import Oracle
from rpo_bench.wording import estimate, number

_TIED = 8  # up to this many names are connected to their lines; more would cover the plot
_CLOSE = 1.6  # times the KL at which methods are compared


@dataclass(frozen=True)
class Curves:
    """The oracle's curves over all prompts.

    Attributes:
        kl: Nats, ascending.
        reward: At these points.
        solid: Number of points with enough effective samples.
        best_of: (n, KL at most, reward) of best-of-n.
    """

    kl: list[float]
    reward: list[float]
    solid: int
    best_of: list[tuple[int, float, float]]

    def at(self, kl: float) -> float:
        """The oracle's reward at a KL."""
        return float(np.interp(kl, self.kl, self.reward))


def curves(oracle: Oracle) -> Curves:
    """Means over the prompts."""
    best = zip(oracle.best_of, oracle.best_of_kl, oracle.best_of_reward.mean(axis=0), strict=True)
    return Curves(
        oracle.kl.mean(axis=0).tolist(),
        oracle.reward.mean(axis=0).tolist(),
        oracle.trusted,
        [(n, float(kl), float(reward)) for n, kl, reward in best],
    )


def frontier(
    section: Section, looks: Mapping[str, Look], frame: Frame, name: str, reach: float | None = None
) -> Markup | None:
    """The plot; None where no trained checkpoint has both a reward and a KL.

    Args:
        section: What is drawn.
        looks: Series → look.
        frame: Its size.
        name: Its element id.
        reach: End of the KL axis in nats; None: beyond the furthest interval.
    """
    found = trade(section, "kl", "reward")
    if found is None:
        return None
    oracle = curves(section.oracle) if section.oracle else None
    heights = [oracle.at(0.0), oracle.at(reach or kl_edge(found))] if oracle else []
    axes = axes_of(found, frame, heights, reach)
    dots = draw_dots(axes, found, looks, 5.0)
    body = [axes.draw(), *([_yardstick(axes, oracle)] if oracle else [])]
    body += [_budget(axes, section), clipped(frame, dots)] if reach else dots
    body.append(_labels(axes, found, looks, oracle))
    title = f"KL–reward frontier on {section.panel.task} with {section.panel.model}"
    if reach:
        title += f", up to {reach:g} nats"
    return figure(frame, title, _summary(found, section, oracle), name, body)


def close_reach(section: Section) -> float | None:
    """The end of a second plot that zooms into the crowded part; None where it would show nothing new."""
    found = trade(section, "kl", "reward")
    if found is None or section.ranking is None:
        return None
    reach = float(f"{_CLOSE * section.ranking.budget:.2g}")
    return reach if kl_edge(found) > 2 * reach else None


def _budget(axes: Axes, section: Section) -> Markup:
    """A vertical line at the KL at which the methods are compared."""
    if section.ranking is None:
        return Markup("")
    (bottom, top), x = axes.frame.y, axes.x(section.ranking.budget)
    line = tag("line", class_="rule", x1=x, x2=x, y1=bottom, y2=top)
    label = tag("text", f"{section.ranking.budget:g} nats", class_="tick", x=x + 6, y=bottom - 8)
    return tag("g", line, label, class_="yardstick")


def _labels(axes: Axes, found: Trade, looks: Mapping[str, Look], oracle: Curves | None) -> Markup:
    """Names at the ends of lines, or a list beside the plot where there are too many."""
    frame = axes.frame
    letters = int((frame.right - 14) / 7)
    yard = _yardstick_ends(axes, oracle) if oracle else []
    if len(found.dots) <= _TIED:
        return end_labels([*_ends(axes, found, looks), *yard], frame, letters)
    lines = {name: _placed(axes, [dot.at for dot in of]) for name, of in found.dots.items()}
    seen = {name: at for name, line in lines.items() if (at := last_within(line, frame)) is not None}
    order = sorted(seen, key=lambda name: (seen[name][1], name))
    names = [
        ListedLabel(
            found.dots[name][0].row.method,
            looks[name] if name else REFERENCE,
            found.dots[name][0].row.method,
        )
        for name in order
    ]
    below = max([frame.top, *(label.y + 24 for label in yard), *([frame.top + 48] if yard else [])])
    return end_labels(yard, frame, letters) + listed_labels(names, frame, below, letters - 2)


def _yardstick(axes: Axes, oracle: Curves) -> Markup:
    """The oracle, dotted where it has few effective samples, and best-of-n."""
    line = [(kl, reward) for kl, reward in zip(oracle.kl, oracle.reward, strict=True) if kl < axes.x.high]
    if oracle.kl[-1] > axes.x.high:
        line.append((axes.x.high, oracle.at(axes.x.high)))
    pieces = ((line[: oracle.solid], "oracle"), (line[max(oracle.solid - 1, 0) :], "oracle faint"))
    parts = [path(_placed(axes, piece), class_=style) for piece, style in pieces if len(piece) > 1]
    best = [one for one in oracle.best_of if one[1] <= axes.x.high]
    if len(best) > 1:
        parts.append(path(_placed(axes, [(kl, reward) for _, kl, reward in best]), class_="bestof"))
    for n, kl, reward in best[1:]:
        dot = tag("circle", tag("title", f"best of {n}"), cx=axes.x(kl), cy=axes.y(reward), r=2.5)
        parts.append(dot)
    return tag("g", *parts, class_="yardstick")


def _placed(axes: Axes, points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(axes.x(x), axes.y(y)) for x, y in points]


def _yardstick_ends(axes: Axes, oracle: Curves) -> list[EndLabel]:
    right = min(axes.x.high, oracle.kl[-1])
    ends = [("oracle π*", right, oracle.at(right))]
    best = [one for one in oracle.best_of if one[1] <= axes.x.high]
    if len(best) > 1:
        n, kl, reward = best[-1]
        ends.append((f"best of {n}", kl, reward))
    placed = [(text, last_within([(axes.x(x), axes.y(y))], axes.frame)) for text, x, y in ends]
    return [EndLabel(text, "yard", *at) for text, at in placed if at is not None]


def _ends(axes: Axes, found: Trade, looks: Mapping[str, Look]) -> list[EndLabel]:
    """A label for every visible series, connected to its last mark or to where its line leaves the plot."""
    labels = []
    for name, of in found.dots.items():
        look = looks[name] if name else REFERENCE
        seen = last_within(_placed(axes, [dot.at for dot in of]), axes.frame)
        if seen is not None:
            labels.append(EndLabel(of[-1].row.method, look.colour, *seen))
    return labels


def _summary(found: Trade, section: Section, oracle: Curves | None) -> str:
    """A description of the plot for screen readers."""
    parts = [series_summary(found)]
    if section.ranking:
        best, budget = section.ranking.leader, section.ranking.budget
        parts.append(f"At {budget:g} nats {best.label} leads: {estimate(best.reward)}.")
        if oracle:
            parts.append(f"The oracle earns {number(oracle.at(budget))} there.")
    return " ".join([*parts, "The table has the numbers."])
