"""Excerpts of data for messages."""

from collections.abc import Iterable

SHORT = 40
LONG = 200


def excerpt(value: object, limit: int = SHORT) -> str:
    """The beginning of a value as one line; unprintable characters are escaped."""
    text = str(value)
    cut = text[:limit]
    if not cut.isprintable():
        cut = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)
    return cut if len(cut) <= limit and len(text) <= limit else f"{cut[:limit]}…"


def listed(names: Iterable[object], limit: int = LONG) -> str:
    """Names separated by commas, up to a limit of characters."""
    found, left = [], limit
    for name in names:
        found.append(excerpt(name))
        left -= len(found[-1]) + 2
        if left < 0:
            return f"{', '.join(found)}, …"
    return ", ".join(found)
