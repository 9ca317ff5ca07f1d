"""Reads settings in YAML (JSON is YAML too) within limits.

Settings are small. Anything larger, deeper or longer is refused before it is expanded, and so is a duplicate
key, of which one value would be ignored.
"""

from pathlib import Path
from typing import Any

import yaml

from rpo_bench.errors import UserError, first_line
from rpo_bench.files.plain_data import (
    MAX_CHARACTERS,
    MAX_DEPTH,
    MAX_ITEMS,
    TOO_DEEP,
    TOO_MANY,
    check_plain,
    shown,
)
from rpo_bench.files.reading import read_bytes

_MAX_DIGITS = 400  # more than any double has; Python itself refuses 4,300
_MAX_MERGED = 300  # keys or mappings merged by ``<<``
#: Exceptions of PyYAML besides its own: for malformed tags and dates, and for self-merging mappings.
_NOT_YAML = (ValueError, ArithmeticError, LookupError, TypeError, AttributeError, RecursionError)


def read_settings(file: Path, what: str) -> Any:
    """The settings in a YAML file.

    Args:
        file: its path.
        what: its name in messages: the path, or a flag with it.

    Raises:
        UserError: it can't be read, isn't YAML, has a duplicate key, or is too large for settings.
    """
    return parse_yaml(_text(file, what), what)


def parse_yaml(text: str, what: str) -> Any:
    """The value of a YAML text; raises UserError that begins with ``what``."""
    _check_length(text, what)
    try:
        found = yaml.load(text, Loader=_BoundedLoader)
    except _TooMuchError as error:
        raise UserError(f"{what}{_line_of(error)}: {error.problem}.") from error
    except yaml.YAMLError as error:
        raise UserError(f"{what}{_line_of(error)} is not YAML: {first_line(error)}.") from error
    except _NOT_YAML as error:
        raise UserError(f"{what} is not YAML: {first_line(error)}.") from error
    check_plain(found, what)
    return found


def _check_length(text: str, what: str) -> None:
    if len(text) > MAX_CHARACTERS:
        raise UserError(
            f"{what}: it has more than {MAX_CHARACTERS:,} characters, which is too long for settings."
        )


def _text(file: Path, what: str) -> str:
    """The text of a regular file of settings."""
    raw = read_bytes(file)
    if len(raw) > MAX_CHARACTERS:
        raise UserError(f"{what}: it has more than {MAX_CHARACTERS:,} bytes, which is too long for settings.")
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UserError(f"{what} is UTF-16 text: save it as UTF-8.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - raw.rfind(b"\n", 0, error.start)
        byte = raw[error.start]
        raise UserError(
            f"{what} line {line} is not YAML: not UTF-8 (byte 0x{byte:02x} at column {column})."
        ) from None


class _TooMuchError(yaml.MarkedYAMLError):
    """YAML that isn't valid as settings, with the place and the reason."""

    def __init__(self, problem: str, place: Any) -> None:
        super().__init__(problem=problem, problem_mark=place.start_mark)


class _BoundedLoader(yaml.SafeLoader):
    """A SafeLoader that limits depth and refuses duplicate keys."""

    _depth = _count = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """A node and, by recursion, everything below it."""
        self._depth += 1
        self._count += 1
        if self._depth > MAX_DEPTH:
            raise _TooMuchError(TOO_DEEP, self.peek_event())
        if self._count > MAX_ITEMS:
            raise _TooMuchError(TOO_MANY, self.peek_event())
        try:
            found: yaml.Node | None = super().compose_node(parent, index)
        finally:
            self._depth -= 1
        return found

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """A mapping without duplicate keys."""
        found: yaml.MappingNode = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in found.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise _TooMuchError(f"the key {shown(key.value)} occurs twice", key)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else key)
        return found

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Merges the mappings of ``<<`` up to a limit, since nested merges grow exponentially."""
        merges = [value for key, value in node.value if key.tag == "tag:yaml.org,2002:merge"]
        if any(len(value.value) > _MAX_MERGED for value in merges):
            raise _TooMuchError("its merges are too large", node)
        super().flatten_mapping(node)
        if merges and len(node.value) > _MAX_MERGED:
            raise _TooMuchError("its merges are too large", node)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """A whole number with a limited number of digits."""
        if len(node.value) > _MAX_DIGITS:
            raise _TooMuchError(f"a number of {len(node.value):,} digits", node)
        return super().construct_yaml_int(node)


_BoundedLoader.add_constructor("tag:yaml.org,2002:int", _BoundedLoader.construct_yaml_int)


def _line_of(error: yaml.YAMLError) -> str:
    """`` line 3``, if known."""
    mark = getattr(error, "problem_mark", None)
    return "" if mark is None else f" line {mark.line + 1}"
