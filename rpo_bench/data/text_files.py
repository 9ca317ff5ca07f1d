"""Text files, plain or gzipped, as UTF-8 lines that know their number."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from rpo_bench.errors import UserError

_GZIP = b"\x1f\x8b"
_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Line:
    """A line, its end included, or why it can't be decoded."""

    number: int
    text: str
    problem: str | None = None


def numbered_lines(path: Path) -> Iterator[Line]:
    """Lines 1, 2, … of a UTF-8 text file, gzipped or not, with a byte-order mark or not.

    Lines end at a line feed only, so that the other Unicode line separators stay inside JSON strings.

    Raises:
        UserError: the file can't be opened, is UTF-16, or its compression is damaged.
    """
    with _readable(path) as file:
        for number, raw in enumerate(file, start=1):
            content = raw
            if number == 1:
                if raw.startswith(_UTF16_MARKS):
                    raise UserError(f"{path} is UTF-16 text: save it as UTF-8.")
                content = raw.removeprefix(_UTF8_MARK)
            try:
                yield Line(number, content.decode("utf-8"))
            except UnicodeDecodeError as error:
                byte = content[error.start]
                yield Line(number, "", f"not UTF-8 (byte 0x{byte:02x} at column {error.start + 1})")


def whole_text(path: Path) -> str:
    """All of a UTF-8 text file; raises UserError, naming the line, where it isn't UTF-8."""
    parts = []
    for line in numbered_lines(path):
        if line.problem:
            raise UserError(f"{path} line {line.number}: {line.problem}.")
        parts.append(line.text)
    return "".join(parts)


@contextmanager
def _readable(path: Path) -> Iterator[IO[bytes]]:
    """The file's bytes, decompressed when its first bytes say gzip, whatever its name."""
    try:
        with path.open("rb") as plain:
            zipped = plain.read(2) == _GZIP
            plain.seek(0)
            yield cast(IO[bytes], gzip.GzipFile(fileobj=plain)) if zipped else plain
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{path}: its gzip compression is damaged or cut short ({error}).") from None
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror or error}.") from None
