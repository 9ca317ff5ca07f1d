"""The fields of a record: text, numbers and metadata, checked one by one."""

import ast
import json
import math
import re
from collections.abc import Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any

#: Columns with what a response may be compared with: a text, and a list of texts.
REFERENCE, REFERENCES = "reference", "references"
_BRACKETED = re.compile(r"\s*\[.*\]\s*", re.DOTALL)


class BadRecordError(Exception):
    """Why a record can't be used, without its place: the reader knows that."""


def text(value: Mapping[str, Any], field: str, within: str = "") -> str:
    """A field that must be text."""
    name = f"{within}.{field}" if within else field
    found = value.get(field)
    if found is None:
        raise BadRecordError(f"'{name}' is missing")
    if not isinstance(found, str):
        raise BadRecordError(f"'{name}' is {kind_of(found)}, where text is wanted")
    try:
        found.encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadRecordError(f"'{name}' has half a surrogate pair at character {error.start + 1}") from None
    return found


def number(value: Mapping[str, Any], field: str, textual: bool = False, within: str = "") -> float:
    """A field that must be a finite number (in a text file: the text of one)."""
    found = optional_number(value, field, textual, within)
    if found is None:
        raise BadRecordError(f"'{within}.{field}' is missing" if within else f"'{field}' is missing")
    return found


def optional_number(
    value: Mapping[str, Any], field: str, textual: bool = False, within: str = ""
) -> float | None:
    """A finite number, or None where the field is absent, null or an empty text of a CSV file."""
    found = present(value.get(field)) if textual else value.get(field)
    return None if found is None else _finite(found, f"{within}.{field}" if within else field, textual)


def _finite(found: Any, name: str, textual: bool) -> float:
    if isinstance(found, bool):
        raise BadRecordError(f"'{name}' is {str(found).lower()}, where a number is wanted: write 1 and 0")
    if textual and isinstance(found, str):
        try:
            result = float(found)
        except ValueError:
            raise BadRecordError(f"'{name}' is '{found[:40]}', not a number") from None
    elif isinstance(found, int | float | Decimal):
        result = _as_float(found)
    else:
        raise BadRecordError(f"'{name}' is {kind_of(found)}, where a number is wanted")
    if not math.isfinite(result):
        raise BadRecordError(f"'{name}' is {result}, it must be finite")
    return result


def _as_float(found: float | Decimal) -> float:
    try:
        return float(found)
    except OverflowError:  # an integer beyond 1.8e308
        return math.inf


def truth(value: Mapping[str, Any], field: str, textual: bool = False) -> bool:
    """A field that must be true or false (also 1 and 0; in a text file: the text of one)."""
    found = value.get(field)
    spelt = found.strip().lower() if textual and isinstance(found, str) else found
    if isinstance(spelt, bool):
        return spelt
    known: dict[Any, bool] = {1: True, 0: False}
    if textual:
        known = {"true": True, "false": False, "1": True, "0": False}
    if not isinstance(spelt, str | int | float) or spelt not in known:
        raise BadRecordError(f"'{field}' is {kind_of(found)}, where true or false is wanted")
    return known[spelt]


def numbers(value: Mapping[str, Any], field: str, textual: bool) -> tuple[float, ...] | None:
    """A list of finite numbers (in a text file: as JSON), or None where there is none."""
    found = present(value.get(field))
    if textual and isinstance(found, str):
        found = spelt_list(found, field)
    if found is None:
        return None
    if not isinstance(found, list) or not found:
        raise BadRecordError(f"'{field}' is {kind_of(found)}, where a list of numbers is wanted")
    return tuple(_finite(item, f"{field}[{i}]", textual=False) for i, item in enumerate(found))


def metadata(value: Mapping[str, Any], known: frozenset[str], textual: bool = False) -> dict[str, Any]:
    """The ``metadata`` field together with every column that has no meaning of its own."""
    given = present(value.get("metadata"))
    if textual and isinstance(given, str):
        given = _parsed(given, "metadata")
    if given is not None and not isinstance(given, Mapping):
        raise BadRecordError(f"'metadata' is {kind_of(given)}, where an object is wanted")
    others = {str(key): found for key, found in value.items() if key not in known}
    return kept(others | dict(given or {}), textual)


def kept(columns: Mapping[str, Any], textual: bool) -> dict[str, Any]:
    """Columns as metadata; of a text file, ``references`` that spell a list are one."""
    found = dict(columns)
    listed = found.get(REFERENCES)
    if textual and isinstance(listed, str) and _BRACKETED.fullmatch(listed):
        found[REFERENCES] = spelt_list(listed, REFERENCES)
    return {key: _plain(one) for key, one in found.items()}


def spelt_list(found: str, field: str) -> Any:
    """What a cell of a text file spells, where a list may stand: JSON, or a list as Python writes it.

    The one way for every such column (``reference_rewards``, ``references``, ``responses``, messages): tables
    saved by pandas hold Python's spelling.
    """
    try:
        return _parsed(found, field)
    except BadRecordError:
        try:
            spelt = ast.literal_eval(found.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            spelt = None
        if not isinstance(spelt, list | tuple):
            raise
        return list(spelt)


def _parsed(found: str, field: str) -> Any:
    try:
        return json.loads(found)
    except (ValueError, RecursionError):
        raise BadRecordError(f"'{field}' is '{found[:40]}', not JSON") from None


def present(found: Any) -> Any:
    """None for what a text file leaves empty."""
    return None if isinstance(found, str) and not found.strip() else found


def _plain(value: Any) -> Any:
    """Metadata as JSON can hold it: dates and decimals as text, NaN and infinities as null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(found) for key, found in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(found) for found in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, date | time | timedelta | Decimal):
        return str(value)
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return value if value is None or isinstance(value, int) else str(value)


def kind_of(value: Any) -> str:
    """What a value is, as a sentence says it: "a list", "the number 3"."""
    if value is None:
        return "missing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float | Decimal):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the text '{value[:40]}'" if value else "an empty text"
    return "a list" if isinstance(value, list | tuple) else "an object"
