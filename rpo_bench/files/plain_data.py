"""Limits of settings from any source: size, depth, numbers and text."""

import math
import reprlib
from collections.abc import Iterator, Mapping
from typing import Any

from rpo_bench.errors import UserError
from rpo_bench.remote.urls import without_secrets

#: Limits of a run's settings as a whole.
MAX_CHARACTERS = 1_000_000
MAX_DEPTH = 40
MAX_ITEMS = 10_000
#: Maximum characters of a flag's value.
MAX_FLAG = 20_000
#: Whole numbers are below it in absolute value: they fit into 64 bits.
MAX_WHOLE = 2**63
#: Seeds are below 2³², which every random number generator accepts.
MAX_SEED = 2**32 - 1

TOO_MANY = f"it holds more than {MAX_ITEMS:,} values"
TOO_DEEP = f"it is nested deeper than {MAX_DEPTH} levels"
_SURROGATES = range(0xD800, 0xE000)


def check_plain(value: Any, what: str) -> None:
    """Raises UserError, beginning with ``what``, for a value that can't be a setting."""
    if (problem := plain_problem(value)) is not None:
        raise UserError(f"{what}: {problem}.")


def plain_problem(value: Any) -> str | None:
    """Why a value can't be a setting, and where in it; None if it can.

    It refuses numbers that aren't finite or don't fit into 64 bits, text that isn't Unicode or contains NUL,
    and too many items or levels: a few lines of aliases expand to billions, and a value may contain itself.
    """
    for count, (place, depth, item) in enumerate(_walk(value)):
        if count > MAX_ITEMS:
            return TOO_MANY
        if depth > MAX_DEPTH:
            return TOO_DEEP
        if (problem := _scalar_problem(item)) is not None:
            return f"{_dotted(place)} {problem}" if place else problem
    return None


def values_in(value: Any) -> Iterator[Any]:
    """Every value in a valid one, itself and keys included."""
    return (item for _, _, item in _walk(value))


def text_problem(text: str) -> str | None:
    """Why a text can't be a name or a path; None if it can."""
    if "\0" in text:
        return "has the character NUL in it"
    if not text.isascii() and any(ord(character) in _SURROGATES for character in text):
        return "isn't Unicode text"
    return f"is longer than {MAX_CHARACTERS:,} characters" if len(text) > MAX_CHARACTERS else None


def number_problem(value: float) -> str | None:
    """Why a number can't be a setting; None if it can."""
    if isinstance(value, int):
        return "is a whole number of more than 64 bits" if abs(value) >= MAX_WHOLE else None
    return None if math.isfinite(value) else "isn't a finite number"


def shown(value: Any) -> str:
    """A value for messages: short, and URLs without secrets."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = 80
    short.maxlevel = 2
    try:
        return without_secrets(short.repr(without_secrets(value) if type(value) is str else value))
    except Exception:  # a foreign repr, or a number too long to print
        return f"a {type(value).__name__}"


#: The place of a value: that of its container, and its key or index there.
_Place = tuple[Any, object] | None


def shown_name(key: object) -> str:
    """The name of a field for messages, unquoted if it is a plain name."""
    return key if isinstance(key, str) and len(key) < 80 and key.isprintable() else shown(key)


def _walk(value: Any) -> Iterator[tuple[_Place, int, Any]]:
    """Every value in it with its place and depth; keys count as values."""
    pending: list[tuple[_Place, int, Any]] = [(None, 0, value)]
    while pending:
        place, depth, item = pending.pop()
        yield place, depth, item
        if isinstance(item, Mapping):
            pending += [((place, "a key"), depth + 1, key) for key in item]
            pending += [((place, key), depth + 1, inner) for key, inner in item.items()]
        elif isinstance(item, list | tuple | set | frozenset):
            pending += [((place, number), depth + 1, inner) for number, inner in enumerate(item)]


def _dotted(place: _Place) -> str:
    names: list[str] = []
    while place is not None:
        place, key = place
        names.insert(0, shown_name(key))
    return ".".join(names)


def _scalar_problem(item: Any) -> str | None:
    if isinstance(item, str):
        return text_problem(item)
    return number_problem(item) if isinstance(item, int | float) else None
