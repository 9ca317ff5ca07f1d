"""Wording of numbers and lists in all sentences for users."""

import math
from collections.abc import Sequence

from rpo_bench.stats.interval import Interval

MINUS = "\u2212"
DASH = "\u2013"
_GREEK = {"tau": "τ", "beta": "β"}


def counted(n: int, noun: str, plural: str | None = None) -> str:
    """``1 seed``, ``3 seeds``."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def listed(names: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""


def shortened(text: str, length: int) -> str:
    """The text, cut with an ellipsis if longer than ``length`` characters."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def number(value: float | None, digits: int = 3) -> str:
    """A number with ``digits`` decimals and a true minus sign; a dash for None."""
    if value is None or not math.isfinite(value):
        return DASH
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def bounds(interval: Interval, digits: int = 3) -> str:
    """``[low, high]``, or "" without an interval."""
    if interval.low is None or interval.high is None:
        return ""
    return f"[{number(interval.low, digits)}, {number(interval.high, digits)}]"


def estimate(interval: Interval, digits: int = 3) -> str:
    """``0.412 [0.381, 0.443]``."""
    return f"{number(interval.point, digits)} {bounds(interval, digits)}".rstrip()


def share_text(interval: Interval) -> str:
    """A share in per cent, with its bounds if it has any."""
    if interval.point is None:
        return "–"
    point = f"{100 * interval.point:.1f} %"
    if interval.low is None or interval.high is None:
        return point
    return f"{point} [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"


def strength_text(name: str, value: float | None) -> str:
    """``τ = 0.3``, or "" for a policy without a strength: not trained, or trained elsewhere."""
    return "" if value is None or not name else f"{_GREEK.get(name, name)} = {value:g}"
