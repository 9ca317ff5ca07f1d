"""Reads and checks the fields of a record: text, numbers and metadata."""

import ast
import math
import re
import warnings
from collections.abc import Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any

from rpo_bench.data.excerpt import excerpt
from rpo_bench.data.json_text import NotJSONError, parse_json, too_deep
from rpo_bench.data.numbers import NotANumberError, as_number, kind_of

#: Columns with reference texts: a text, and a list of texts.
REFERENCE, REFERENCES = "reference", "references"
#: Characters of a message about a record, and of a list as Python writes it: reading one takes much memory.
MESSAGE = 600
MAX_PYTHON_LIST = 1 << 20
_BRACKETED = re.compile(r"\s*\[.*\]\s*", re.DOTALL)


class BadRecordError(Exception):
    """Why a record is unusable, in a few hundred characters; the reader adds its place."""

    def __init__(self, reason: str) -> None:
        super().__init__(excerpt(reason, MESSAGE))


def text(value: Mapping[str, Any], field: str, within: str = "") -> str:
    """A field that must be text."""
    name = f"{within}.{field}" if within else field
    found = value.get(field)
    if found is None:
        raise BadRecordError(f"'{name}' is missing")
    if not isinstance(found, str):
        raise BadRecordError(f"'{name}' is {kind_of(found)}, but must be text")
    return unicode(found, f"'{name}'")


def unicode(found: str, what: str) -> str:
    """Checks that a text is Unicode; raises BadRecordError for half surrogate pairs, which JSON allows."""
    try:
        found.encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadRecordError(f"{what} has half a surrogate pair at character {error.start + 1}") from None
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
    try:
        return as_number(found, textual)
    except NotANumberError as error:
        raise BadRecordError(f"'{name}' is {error}") from None


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
        raise BadRecordError(f"'{field}' is {kind_of(found)}, but must be true or false")
    return known[spelt]


def numbers(value: Mapping[str, Any], field: str, textual: bool) -> tuple[float, ...] | None:
    """A list of finite numbers (in a text file: as JSON), or None where there is none."""
    found = present(value.get(field))
    if textual and isinstance(found, str):
        found = spelt_list(found, field)
    if found is None:
        return None
    if not isinstance(found, list) or not found:
        raise BadRecordError(f"'{field}' is {kind_of(found)}, but must be a list of numbers")
    return tuple(_finite(item, f"{field}[{i}]", textual=False) for i, item in enumerate(found))


def metadata(value: Mapping[str, Any], known: frozenset[str], textual: bool = False) -> dict[str, Any]:
    """The ``metadata`` field and all columns without a predefined meaning."""
    given = present(value.get("metadata"))
    if textual and isinstance(given, str):
        given = _parsed(given, "metadata")
    if given is not None and not isinstance(given, Mapping):
        raise BadRecordError(f"'metadata' is {kind_of(given)}, but must be an object")
    others = {key: found for key, found in value.items() if key not in known}
    return kept(others | dict(given or {}), textual)


def kept(columns: Mapping[str, Any], textual: bool) -> dict[str, Any]:
    """Columns as metadata; in a text file, ``references`` may spell a list."""
    found = dict(columns)
    listed = found.get(REFERENCES)
    if textual and isinstance(listed, str) and _BRACKETED.fullmatch(listed):
        found[REFERENCES] = spelt_list(listed, REFERENCES)
    if too_deep(found):
        raise BadRecordError("metadata nested too deeply")
    plain: dict[str, Any] = _plain(found)
    return plain


def spelt_list(found: str, field: str) -> Any:
    """Parses a cell of a text file that may spell a list, in JSON or Python syntax.

    Used for all such columns (``reference_rewards``, ``references``, ``responses``, messages). Tables saved
    by pandas have Python syntax.
    """
    try:
        return parse_json(found)
    except NotJSONError as error:
        spelt = _python_list(found)
        if spelt is None:
            raise _no_json(found, field, error) from None
        return spelt


def _python_list(found: str) -> list[Any] | None:
    """A list in Python syntax; None for any other text."""
    if len(found) > MAX_PYTHON_LIST:
        return None
    try:
        with warnings.catch_warnings():  # of escapes that Python doesn't know
            warnings.simplefilter("ignore")
            spelt = ast.literal_eval(found.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
    return list(spelt) if isinstance(spelt, list | tuple) and not too_deep(spelt) else None


def _parsed(found: str, field: str) -> Any:
    try:
        return parse_json(found)
    except NotJSONError as error:
        raise _no_json(found, field, error) from None


def _no_json(found: str, field: str, error: NotJSONError) -> BadRecordError:
    reason = str(error).partition(" (")[0]
    return BadRecordError(f"'{field}' is '{excerpt(found)}', {reason}")


def present(found: Any) -> Any:
    """None for empty cells of a text file."""
    return None if isinstance(found, str) and not found.strip() else found


def _plain(value: Any) -> Any:
    """Metadata for JSON: dates and decimals as text, NaN and infinities as null."""
    if isinstance(value, Mapping):
        return {unicode(str(key), "a column's name"): _plain(found) for key, found in value.items()}
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
