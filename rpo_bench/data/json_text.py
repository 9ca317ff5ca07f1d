"""Parses JSON of data files, with one-sentence errors."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from rpo_bench.data.excerpt import excerpt

#: Maximum nesting of lists and objects, as later code may recurse.
MAX_DEPTH = 100
_SPACE = re.compile(r"[ \t\n\r]*")
_DEEP = "JSON nested too deeply"


class NotJSONError(Exception):
    """Why a text isn't valid JSON.

    Attributes:
        line: the line, counted from 1.
    """

    def __init__(self, reason: str, line: int = 1) -> None:
        super().__init__(reason)
        self.line = line


def parse_json(text: str) -> Any:
    """Parses JSON text; NaN and infinities, which Python writes, are accepted.

    Raises:
        NotJSONError: It isn't JSON, is nested too deeply, has an object with a key twice, or a number of
            thousands of digits.
    """
    value, end = _value(text, _behind_space(text, 0))
    if end != len(text):
        raise _not_json(text, "Extra data", end)
    if isinstance(value, NotJSONError):
        raise value
    return value


def parse_items(text: str) -> Iterator[Any]:
    """The items of a list, one by one; an error in place of an unusable item.

    Raises:
        NotJSONError: It isn't a JSON list, or an unusable item can't be skipped.
    """
    at = _behind_space(text, 0)
    if text[at : at + 1] != "[":
        raise _not_json(text, "Expecting a list", at)
    at = _behind_space(text, at + 1)
    more = text[at : at + 1] != "]"
    while more:
        item, at = _value(text, at)
        yield item
        more = text[at : at + 1] == ","
        if more:
            at = _behind_space(text, at + 1)
    if text[at : at + 1] != "]":
        raise _not_json(text, "Expecting ',' delimiter", at)
    if (end := _behind_space(text, at + 1)) != len(text):
        raise _not_json(text, "Extra data", end)


def _value(text: str, at: int) -> tuple[Any, int]:
    """The value at a position, or why it is unusable, and the position after it."""
    twice: list[str] = []

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs) and not twice:
            twice.append(Counter(key for key, _ in pairs).most_common(1)[0][0])
        return found

    try:
        value, end = json.JSONDecoder(object_pairs_hook=once).raw_decode(text, at)
    except json.JSONDecodeError as error:
        raise _not_json(text, error.msg, error.pos) from None
    except RecursionError:
        raise NotJSONError(_DEEP, _line(text, at)) from None
    except ValueError:  # Python reads no more
        raise NotJSONError("a number of more than 4,300 digits", _line(text, at)) from None
    if twice:
        value = NotJSONError(f"JSON with '{excerpt(twice[0])}' twice in one object", _line(text, at))
    elif too_deep(value):
        value = NotJSONError(_DEEP, _line(text, at))
    return value, _behind_space(text, end)


def too_deep(value: Any) -> bool:
    """Whether lists and objects are nested deeper than ``MAX_DEPTH`` levels."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list | tuple)
            for inner in (one.values() if isinstance(one, dict) else one)
            if isinstance(inner, dict | list | tuple)
        ]
        if not level:
            return False
    return True


def _behind_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def _not_json(text: str, reason: str, at: int) -> NotJSONError:
    column = at - text.rfind("\n", 0, at)
    return NotJSONError(f"not JSON ({reason} at column {column})", _line(text, at))
