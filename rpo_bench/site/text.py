"""Makes JSON values safe to display."""

import math
from collections.abc import Sequence
from typing import Any

from rpo_bench.terminal.visible import visible, visible_lines

_PLAIN = frozenset((int, float, type(None)))


def visible_deeply(value: object) -> object:
    """JSON values with invisible characters spelled out; keeps lines and tabs, drops non-finite numbers."""
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
    """Whether a list holds only numbers, a fast path for long lists."""
    return set(map(type, values)) <= _PLAIN and math.isfinite(sum(filter(None, values)))
