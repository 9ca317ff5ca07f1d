"""YAML of settings (JSON is YAML too), read within bounds.

A user's settings are small: what is larger, deeper or longer than any of them is refused before it is
expanded, and so is a key that comes twice, of which one would be ignored.
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

_MAX_DIGITS = 400  # more than any double has; Python itself refuses to read 4,300
_MAX_MERGED = 300  # keys, or mappings, that ``<<`` brings together
#: What PyYAML raises beside its own errors: of malformed tags and dates, and of what merges itself.
_NOT_YAML = (ValueError, ArithmeticError, LookupError, TypeError, AttributeError, RecursionError)


def read_settings(file: Path, what: str) -> Any:
    """What a YAML file of settings holds.

    Args:
        file: its path.
        what: its name in messages: the path, or a flag with it.

    Raises:
        UserError: it can't be read, isn't YAML, has a key twice, or is larger than settings are.
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
        raise UserError(f"{what}: it is longer than {MAX_CHARACTERS:,} characters: no settings are.")


def _text(file: Path, what: str) -> str:
    """The text of a regular file of settings."""
    raw = read_bytes(file)
    if len(raw) > MAX_CHARACTERS:
        raise UserError(f"{what}: it is longer than {MAX_CHARACTERS:,} bytes: no settings are.")
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
    """YAML, and yet no settings; where it is and why."""

    def __init__(self, problem: str, place: Any) -> None:
        super().__init__(problem=problem, problem_mark=place.start_mark)


class _BoundedLoader(yaml.SafeLoader):
    """A SafeLoader that stops at the depth of settings, and refuses keys that come twice."""

    _depth = _count = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """A node and all below it, which come by recursion."""
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
        """A mapping in which no key comes twice."""
        found: yaml.MappingNode = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in found.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise _TooMuchError(f"the key {shown(key.value)} comes twice", key)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else key)
        return found

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Merges in what ``<<`` names, as far as it stays small: merges of merges grow by themselves."""
        merges = [value for key, value in node.value if key.tag == "tag:yaml.org,2002:merge"]
        if any(len(value.value) > _MAX_MERGED for value in merges):
            raise _TooMuchError("it merges more than settings have", node)
        super().flatten_mapping(node)
        if merges and len(node.value) > _MAX_MERGED:
            raise _TooMuchError("it merges more than settings have", node)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """A whole number of as many digits as one can have."""
        if len(node.value) > _MAX_DIGITS:
            raise _TooMuchError(f"a number of {len(node.value):,} digits", node)
        return super().construct_yaml_int(node)


_BoundedLoader.add_constructor("tag:yaml.org,2002:int", _BoundedLoader.construct_yaml_int)


def _line_of(error: yaml.YAMLError) -> str:
    """`` line 3``, where it is known."""
    mark = getattr(error, "problem_mark", None)
    return "" if mark is None else f" line {mark.line + 1}"
