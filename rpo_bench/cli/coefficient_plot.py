"""Plots of a gradient coefficient over reward and log-ratio: in the terminal, and as an SVG file."""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from rpo_bench.site.svg import tag

if TYPE_CHECKING:
    from rpo_bench.methods.coefficients import CoefficientMap

# Okabe and Ito's blue to vermilion through white: distinct with any common colour vision.
_DOWN, _UP = (0, 114, 178), (213, 94, 0)
_CELL = (58, 26)  # pixels
_LEFT, _TOP = 70, 64


def print_map(console: Console, found: "CoefficientMap") -> None:
    """A table of numbers, highest reward on top, shaded on a terminal."""
    largest = float(abs(found.values).max())
    cells = [[_number(value) for value in row] for row in found.values]
    labels = [_number(reward) for reward in found.rewards]
    columns = [_number(value) for value in found.log_ratios]
    width = max(len(text) for row in [columns, *cells] for text in row) + 1
    console.print(f"Gradient coefficient by {_axes(found)}", style="bold")
    console.print(f"{'':>6}" + "".join(f"{text:>{width}}" for text in columns))
    for i in reversed(range(len(labels))):
        line = Text(f"{labels[i]:>6}")
        for value, text in zip(found.values[i], cells[i], strict=True):
            style = f"black on {_colour(value, largest)}" if console.is_terminal else ""
            line.append(f"{text:>{width}}", style=style)
        console.print(line)
    console.print(found.caption, style="dim")


def svg_of(title: str, found: "CoefficientMap") -> str:
    """A stand-alone SVG document of the same table, each cell in its colour."""
    wide, high = _CELL
    rows, columns = found.values.shape
    largest = float(abs(found.values).max())
    parts = [tag("title", title), _label(title, 12, 20, size=14, weight="bold")]
    parts.append(_label(f"Gradient coefficient by {_axes(found)}", 12, 40))
    for j, log_ratio in enumerate(found.log_ratios):
        parts.append(_label(_number(log_ratio), _LEFT + (j + 0.5) * wide, _TOP - 6, anchor="middle"))
    for i, reward in enumerate(found.rewards[::-1]):
        y = _TOP + i * high
        parts.append(_label(_number(reward), _LEFT - 8, y + high * 0.65, anchor="end"))
        for j, value in enumerate(found.values[::-1][i]):
            x = _LEFT + j * wide
            fill = _colour(value, largest)
            parts.append(tag("rect", x=x, y=y, width=wide, height=high, fill=fill, stroke="#fff"))
            parts.append(_label(_number(value), x + wide / 2, y + high * 0.65, anchor="middle"))
    bottom = _TOP + rows * high
    lines = _wrapped(found.caption, 90)
    parts += [_label(line, 12, bottom + 20 + 15 * n, size=11) for n, line in enumerate(lines)]
    width, height = _LEFT + columns * wide + 12, bottom + 24 + 15 * len(lines)
    document = tag(
        "svg",
        tag("rect", width=width, height=height, fill="#fff"),
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width} {height}",
        width=width,
        height=height,
        role="img",
        font_family="system-ui, sans-serif",
    )
    return f"{document}\n"


def _axes(found: "CoefficientMap") -> str:
    """Names of the vertical and the horizontal axis."""
    other = " over the other's" if found.pairs else ""
    return f"reward{other} (down) and log-ratio D{other} (across)"


def _number(value: float) -> str:
    """Three digits with a sign; 0 without one."""
    if abs(value) < 5e-4:
        return "0"
    return f"{value:+.0f}" if abs(value) >= 100 else f"{value:+.3g}"


def _colour(value: float, largest: float) -> str:
    """White at 0, blue for negative and vermilion for positive coefficients."""
    share = 0.0 if largest == 0 else min(1.0, abs(value) / largest) ** 0.5 * 0.85
    end = _UP if value > 0 else _DOWN
    return "#" + "".join(f"{round(255 + (channel - 255) * share):02x}" for channel in end)


def _label(
    text: str, x: float, y: float, *, anchor: str = "start", size: int = 12, weight: str | None = None
) -> str:
    return tag("text", text, x=x, y=y, text_anchor=anchor, font_size=size, font_weight=weight, fill="#111")


def _wrapped(text: str, width: int) -> list[str]:
    import textwrap

    return textwrap.wrap(text, width)
