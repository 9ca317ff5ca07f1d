"""Values of JSON made safe to show."""

import math
from collections.abc import Sequence
from typing import Any

from rpo_bench.terminal.visible import visible, visible_lines

_PLAIN = frozenset((int, float, type(None)))


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
