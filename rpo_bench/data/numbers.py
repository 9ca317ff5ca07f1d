"""Parses numbers of data files, in the same way for all formats."""

import math
import re
from decimal import Decimal

from rpo_bench.data.excerpt import excerpt

#: The largest number, as models compute in single precision.
LARGEST = 3.4028234663852886e38

_SPELT = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)
_LONGEST = 1_000  # characters of a number: a double has at most 767 digits
_AROUND = " \t\r\n"


class NotANumberError(Exception):
    """Why a value isn't a usable number, as a predicate after its name: "'x', not a number"."""


def as_number(value: object, textual: bool = False) -> float:
    """A finite number.

    Args:
        value: The value in the file: a number, or in a text file (CSV, TSV) its text with ASCII digits;
            surrounding white space is ignored.
        textual: Whether texts may be numbers.

    Raises:
        NotANumberError: It is something else, isn't finite, or is too large for a model.
    """
    if textual and isinstance(value, str):
        number = _spelt(value.strip(_AROUND))
    elif isinstance(value, bool):
        raise NotANumberError(f"{str(value).lower()}, but must be a number: write 1 and 0")
    elif isinstance(value, int | float | Decimal):
        number = _as_float(value)
    else:
        raise NotANumberError(f"{kind_of(value)}, but must be a number")
    if not math.isfinite(number):
        raise NotANumberError(f"{number}, it must be finite")
    if abs(number) > LARGEST:
        raise NotANumberError(f"{number:g}, but models compute with numbers up to {LARGEST:.1e}")
    return number


def _spelt(text: str) -> float:
    if text.lower() in ("true", "false"):
        raise NotANumberError(f"{text.lower()}, but must be a number: write 1 and 0")
    if len(text) > _LONGEST or not (_SPELT.fullmatch(text) or _NOT_FINITE.fullmatch(text)):
        raise NotANumberError(f"'{excerpt(text)}', not a number")
    return float(text)


def _as_float(value: float | Decimal) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer beyond 1.8e308
        return math.inf if value > 0 else -math.inf


def kind_of(value: object) -> str:
    """A description of a value: "a list", "the number 3"."""
    if value is None:
        return "missing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float | Decimal):
        return f"the number {excerpt(value)}"
    if isinstance(value, str):
        return f"the text '{excerpt(value)}'" if value else "an empty text"
    return "a list" if isinstance(value, list | tuple) else "an object"
