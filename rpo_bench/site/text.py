"""Text that readers see: values made safe to show, and numbers in few digits."""

import math
from collections.abc import Sequence
from typing import Any

from rpo_bench.results.schema import Interval
from rpo_bench.terminal.visible import visible, visible_lines

MINUS = "\u2212"
DASH = "\u2013"
_PLAIN = frozenset((int, float, type(None)))
_GREEK = {"tau": "τ", "beta": "β"}


def visible_deeply(value: object) -> object:
    """Plain values of JSON with every text made visible; lines and tabs stay, and what is no number goes."""
    if isinstance(value, str):
        return visible_lines(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {visible(str(key)): visible_deeply(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return list(value) if _finite_numbers(value) else [visible_deeply(item) for item in value]
    return value


def _finite_numbers(values: Sequence[Any]) -> bool:
    """Whether a list holds numbers alone: the long ones do, and need no look at every item."""
    return set(map(type, values)) <= _PLAIN and math.isfinite(sum(filter(None, values)))


def shortened(text: str, length: int) -> str:
    """The text, cut with an ellipsis when it is longer than ``length`` characters."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def number(value: float | None, digits: int = 3) -> str:
    """A number with ``digits`` decimals and a true minus sign; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return DASH
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def bounds(interval: Interval, digits: int = 3) -> str:
    """``[low, high]``, or nothing where the interval couldn't be had."""
    if interval.low is None or interval.high is None:
        return ""
    return f"[{number(interval.low, digits)}, {number(interval.high, digits)}]"


def estimate(interval: Interval, digits: int = 3) -> str:
    """``0.412 [0.381, 0.443]``."""
    return f"{number(interval.point, digits)} {bounds(interval, digits)}".rstrip()


def share_text(interval: Interval) -> str:
    """A share in per cent, with its bounds where there are any."""
    if interval.point is None:
        return "–"
    point = f"{100 * interval.point:.1f} %"
    if interval.low is None or interval.high is None:
        return point
    return f"{point} [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"


def strength_text(name: str, value: float | None) -> str:
    """``τ = 0.3``, or nothing for a policy that has no strength: not trained, or trained elsewhere."""
    return "" if value is None or not name else f"{_GREEK.get(name, name)} = {value:g}"
