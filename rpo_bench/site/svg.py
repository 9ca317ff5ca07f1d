"""The SVG building blocks of the board's plots: elements, scales, axes, markers, labels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup, escape

from rpo_bench.site.palette import Look
from rpo_bench.terminal.visible import visible
from rpo_bench.wording import MINUS, number, shortened


def tag(name: str, *children: str | Markup, **attributes: str | float | None) -> Markup:
    """An element; text and attribute values are escaped, ``_`` in an attribute's name becomes ``-``.

    Coordinates are rounded to a tenth of a pixel; an attribute that is None is left out.
    """
    parts = [
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None
    ]
    inner = "".join(c if isinstance(c, Markup) else escape(visible(c)) for c in children)
    return Markup(f"<{name}{''.join(parts)}>{inner}</{name}>")  # every part is escaped


def _value(value: str | float) -> str:
    return str(escape(visible(value))) if isinstance(value, str) else _rounded(value)


def _rounded(value: float) -> str:
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


@dataclass(frozen=True)
class Scale:
    """Maps numbers to pixels, linearly or by square root (which spreads out values near zero).

    Attributes:
        beyond: Whether values beyond the ends are drawn beyond them or clamped.
    """

    low: float
    high: float
    start: float
    end: float
    root: bool = False
    beyond: bool = False

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        if not self.beyond:
            value = min(max(value, self.low), self.high)
        share = (self._bent(value) - self._bent(self.low)) / (self._bent(self.high) - self._bent(self.low))
        return self.start + share * (self.end - self.start)

    def _bent(self, value: float) -> float:
        return math.sqrt(max(value, 0.0)) if self.root else value

    def ticks(self, about: int) -> list[float]:
        """Round numbers within the scale, about ``about`` of them."""
        if not self.root:
            return nice_ticks(self.low, self.high, about)
        apart = abs(self.end - self.start) / (about + 1)
        kept = [self.low]
        for tick in sorted(m * 10.0**k for k in range(-4, 4) for m in (1, 2, 5)):
            if self.low < tick <= self.high and abs(self(tick) - self(kept[-1])) >= apart:
                kept.append(tick)
        return kept


def nice_ticks(low: float, high: float, about: int) -> list[float]:
    """Multiples of 1, 2 or 5 · 10^k in [low, high], at most about so many."""
    raw = (high - low) / max(about, 1)
    magnitude = 10 ** math.floor(math.log10(raw))
    step = next(m * magnitude for m in (1, 2, 5, 10) if m * magnitude >= raw * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def padded(values: Sequence[float], share: float = 0.06) -> tuple[float, float]:
    """The range of some values with a margin on both sides; never empty."""
    low, high = min(values), max(values)
    span = high - low or abs(high) or 1.0
    return low - share * span, high + share * span


def tick_text(value: float, ticks: Sequence[float]) -> str:
    """A tick's label, with as many decimals as its neighbours need."""
    decimals = max((len(f"{t:.10f}".rstrip("0").partition(".")[2]) for t in ticks), default=0)
    return number(value, min(decimals, 4))


@dataclass(frozen=True)
class Frame:
    """A picture's size and the margins around its plotting area, in pixels."""

    width: float
    height: float
    left: float = 52
    right: float = 16
    top: float = 14
    bottom: float = 46

    @property
    def x(self) -> tuple[float, float]:
        """Left and right edge of the plotting area."""
        return self.left, self.width - self.right

    @property
    def y(self) -> tuple[float, float]:
        """Bottom and top edge of the plotting area."""
        return self.height - self.bottom, self.top


@dataclass(frozen=True)
class Axes:
    """Both scales of a picture with their titles."""

    frame: Frame
    x: Scale
    y: Scale
    x_title: str
    y_title: str
    ticks: tuple[int, int] = field(default=(6, 5))

    def draw(self) -> Markup:
        """Grid lines, tick labels and titles."""
        (left, right), (bottom, top) = self.frame.x, self.frame.y
        x_ticks, y_ticks = self.x.ticks(self.ticks[0]), self.y.ticks(self.ticks[1])
        parts = []
        for tick in y_ticks:
            y = self.y(tick)
            parts.append(tag("line", class_="grid", x1=left, x2=right, y1=y, y2=y))
            parts.append(tag("text", tick_text(tick, y_ticks), class_="tick end", x=left - 8, y=y + 4))
        for tick in x_ticks:
            x = self.x(tick)
            parts.append(tag("line", class_="tickmark", x1=x, x2=x, y1=bottom, y2=bottom + 5))
            parts.append(
                tag("text", f"{tick:g}".replace("-", MINUS), class_="tick middle", x=x, y=bottom + 19)
            )
        parts.append(tag("line", class_="axis", x1=left, x2=right, y1=bottom, y2=bottom))
        parts.append(tag("text", self.x_title, class_="title end", x=right, y=self.frame.height - 8))
        parts.append(tag("text", self.y_title, class_="title", x=left, y=top - 10))
        return Markup("").join(parts)


def path(points: Sequence[tuple[float, float]], **attributes: str | float | None) -> Markup:
    """A line through points."""
    steps = "L".join(f"{_rounded(x)} {_rounded(y)}" for x, y in points)
    return tag("path", d=f"M{steps}", fill="none", **attributes)


_OUTLINES: dict[str, tuple[tuple[float, float], ...]] = {
    "square": ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    "triangle": ((0, -1.15), (1.1, 0.85), (-1.1, 0.85)),
    "diamond": ((0, -1.25), (1.25, 0), (0, 1.25), (-1.25, 0)),
    "down": ((0, 1.15), (1.1, -0.85), (-1.1, -0.85)),
    "plus": tuple(
        (x, y)
        for x, y in (
            (-0.4, -1.2), (0.4, -1.2), (0.4, -0.4), (1.2, -0.4), (1.2, 0.4), (0.4, 0.4),
            (0.4, 1.2), (-0.4, 1.2), (-0.4, 0.4), (-1.2, 0.4), (-1.2, -0.4), (-0.4, -0.4),
        )
    ),
    "star": tuple((r * math.sin(i * math.pi / 5), -r * math.cos(i * math.pi / 5))
                  for i in range(10) for r in (0.6 if i % 2 else 1.35,)),
}  # fmt: skip


def marker(look: Look, x: float, y: float, size: float = 5) -> Markup:
    """A series' mark, centred on a point."""
    if look.shape in ("circle", "ring"):
        return tag("circle", class_=f"mark {look.shape}", cx=x, cy=y, r=size)
    corners = " ".join(f"{_rounded(x + size * a)},{_rounded(y + size * b)}" for a, b in _OUTLINES[look.shape])
    return tag("polygon", class_="mark", points=corners)


def key(look: Look) -> Markup:
    """A series' mark alone, for a table cell or a legend."""
    mark = marker(look, 8, 8)
    return tag("svg", mark, class_=f"key {look.colour}", viewBox="0 0 16 16", aria_hidden="true")


def spread_out(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Positions near the requested ones, in their order, at least ``gap`` apart where space allows."""
    order = sorted(range(len(wanted)), key=lambda i: (wanted[i], i))
    gap = min(gap, (high - low) / max(len(order) - 1, 1))
    placed = list(wanted)
    edge = low
    for i in order:
        placed[i] = edge = max(wanted[i], edge)
        edge += gap
    edge = high
    for i in reversed(order):
        placed[i] = min(placed[i], edge)
        edge = placed[i] - gap
    return placed


@dataclass(frozen=True)
class EndLabel:
    """A label in the right margin, connected to the end of its line."""

    text: str
    colour: str
    x: float
    y: float


def end_labels(labels: Sequence[EndLabel], frame: Frame, letters: int) -> Markup:
    """Labels beside the plotting area, spread apart and connected to their points by thin lines."""
    at = frame.x[1] + 14
    heights = spread_out([label.y for label in labels], 16, frame.top + 4, frame.height - frame.bottom - 4)
    parts = []
    for label, y in zip(labels, heights, strict=True):
        line = path([(label.x + 8, label.y), (at - 8, y), (at - 3, y)], class_="leader")
        text = tag("text", shortened(visible(label.text), letters), class_="label", x=at, y=y + 4)
        parts.append(tag("g", line, text, class_=label.colour))
    return Markup("").join(parts)


@dataclass(frozen=True)
class ListedLabel:
    """A label in the right margin with a mark but no connecting line."""

    text: str
    look: Look
    method: str


def listed_labels(labels: Sequence[ListedLabel], frame: Frame, below: float, letters: int) -> Markup:
    """Marks with labels beside the plotting area, stacked from ``below`` downwards."""
    at = frame.x[1] + 20
    gap = min(19.0, (frame.y[0] - below) / max(len(labels), 1))
    parts = []
    for i, label in enumerate(labels):
        y = below + gap * (i + 0.5)
        text = tag("text", shortened(visible(label.text), letters), class_="label", x=at + 12, y=y + 4)
        mark = marker(label.look, at, y, 4.5)
        parts.append(tag("g", mark, text, class_=f"named {label.look.colour}", data_method=label.method))
    return Markup("").join(parts)


def clipped(frame: Frame, parts: Sequence[Markup], margin: float = 9) -> Markup:
    """Clips to the plotting area plus the size of a mark."""
    (left, right), (bottom, top) = frame.x, frame.y
    x, y, width, height = left - margin, top - margin, right - left + 2 * margin, bottom - top + 2 * margin
    box = " ".join(map(_rounded, (x, y, width, height)))
    return tag("svg", *parts, x=x, y=y, width=width, height=height, viewBox=box)


def figure(frame: Frame, title: str, description: str, name: str, body: Sequence[Markup]) -> Markup:
    """A complete plot with a title and a description for screen readers; ``name`` is its element id."""
    heads = (tag("title", title, id=f"{name}-t"), tag("desc", description, id=f"{name}-d"))
    return tag(
        "svg",
        *heads,
        *body,
        viewBox=f"0 0 {_rounded(frame.width)} {_rounded(frame.height)}",
        role="img",
        aria_labelledby=f"{name}-t {name}-d",
        class_="plot",
    )
