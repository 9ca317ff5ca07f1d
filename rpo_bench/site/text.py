"""Text that readers see: other people's names made safe to show, and numbers in few digits."""

import math
import re
from collections.abc import Sequence
from typing import Any

from rpo_bench.results.schema import Interval

MINUS = "\u2212"
DASH = "\u2013"
_PLAIN = frozenset((int, float, type(None)))
_GREEK = {"tau": "τ", "beta": "β"}

# C0 and C1 controls, zero-width characters, direction marks, embeddings, overrides and isolates, line and
# paragraph separators, interlinear marks, tags, and surrogates: all invisible, or unprintable, or able to
# reorder the text around them.
_UNSEEN_RANGES = (
    "\u0000-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ud800-\udfff\ufeff\ufff0-\uffff\U000e0000-\U000e0fff"
)
_UNSEEN = re.compile(f"[{_UNSEEN_RANGES}]")
_VISIBLE_LINES = re.compile(rf"(?![\n\t])[{_UNSEEN_RANGES}]")


def visible(text: str) -> str:
    """The text with every character that can't be seen, or that reorders others, as ``⟨U+202E⟩``.

    What comes back encodes to UTF-8 and reads in the order in which it is stored. Escaping for HTML is
    the template's work.
    """
    return _UNSEEN.sub(lambda match: f"⟨U+{ord(match[0]):04X}⟩", text)


def visible_deeply(value: object) -> object:
    """Plain values of JSON with every text made visible; lines and tabs stay, and what is no number goes."""
    if isinstance(value, str):
        if value.isascii() and value.isprintable():  # most are, and there may be a million
            return value
        return _VISIBLE_LINES.sub(lambda match: f"⟨U+{ord(match[0]):04X}⟩", value)
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


def counted(n: int, noun: str, plural: str | None = None) -> str:
    """``1 seed``, ``3 seeds``."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def listed(names: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""
