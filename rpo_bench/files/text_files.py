"""Text files, plain or gzipped, as numbered UTF-8 lines."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rpo_bench.errors import UserError
from rpo_bench.files.expanding import Readable, open_expanded

#: Maximum bytes of a line, and of a text read whole. Parsing takes several times as much memory.
MAX_LINE = 32 << 20
MAX_TEXT = 512 << 20

_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Line:
    """A line including its end, or the reason that it can't be used."""

    number: int
    text: str
    problem: str | None = None


def numbered_lines(path: Path, max_bytes: int = MAX_LINE) -> Iterator[Line]:
    """Lines 1, 2, … of a UTF-8 text file, gzipped or not, with a byte-order mark or not.

    Lines end at a line feed only, so that the other Unicode line separators stay inside JSON strings.

    Args:
        path: The file.
        max_bytes: A longer line is reported as a problem.

    Raises:
        UserError: the file can't be opened, is UTF-16, or its compression is damaged or a bomb.
    """
    with open_expanded(path) as file:
        number = 0
        while raw := file.readline(max_bytes + 1):
            number += 1
            if number == 1:
                if raw.startswith(_UTF16_MARKS):
                    raise UserError(f"{path} is UTF-16 text: save it as UTF-8.")
                raw = raw.removeprefix(_UTF8_MARK)
            if len(raw) > max_bytes:
                _pass_over(raw, file)
                yield Line(number, "", f"the line is longer than {max_bytes >> 20} MiB")
                continue
            try:
                yield Line(number, raw.decode("utf-8"))
            except UnicodeDecodeError as error:
                byte = raw[error.start]
                yield Line(number, "", f"not UTF-8 (byte 0x{byte:02x} at column {error.start + 1})")


def _pass_over(start: bytes, file: Readable) -> None:
    """Reads to the end of a line that begins with ``start``."""
    while start and not start.endswith(b"\n"):
        start = file.readline(_CHUNK)


def first_character(path: Path) -> str:
    """The first non-whitespace byte of a text as a character; "" if there is none."""
    with open_expanded(path) as file:
        chunk = file.read(_CHUNK).removeprefix(_UTF8_MARK)
        while chunk and not chunk.strip():
            chunk = file.read(_CHUNK)
    return chunk.strip()[:1].decode("latin-1")


def whole_text(path: Path, max_bytes: int = MAX_TEXT) -> str:
    """All of a UTF-8 text file.

    Raises:
        UserError: It has more than ``max_bytes`` or isn't UTF-8; the message has the line.
    """
    parts, left = [], max_bytes
    for line in numbered_lines(path, max_bytes):
        if line.problem:
            raise UserError(f"{path} line {line.number}: {line.problem}.")
        parts.append(line.text)
        left -= len(line.text)
        if left < 0:
            raise UserError(f"{path} has more than {max_bytes >> 20} MiB of text: split it.")
    return "".join(parts)
