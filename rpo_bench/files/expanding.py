"""Reads users' files, decompressing gzip within limits."""

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol, cast

from rpo_bench.errors import UserError
from rpo_bench.files.reading import opened

#: A file may expand to this many bytes whatever its size; beyond that, to a multiple of its size.
ALWAYS = 16 << 20
MAX_RATIO = 200

_GZIP = b"\x1f\x8b"
#: First bytes of unsupported archives, and their kinds.
_ARCHIVES = {
    b"PK\x03\x04": "a zip archive",
    b"\xfd7zXZ\x00": "an xz archive",
    b"BZh": "a bzip2 archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
}
_LINE = 64  # overhead of a line in bytes
_MAGIC = max(map(len, _ARCHIVES))


class Readable(Protocol):
    """A stream of bytes; both methods return fewer than ``size`` bytes only at the end."""

    def read(self, size: int, /) -> bytes:
        """The next bytes, at most ``size``."""
        ...

    def readline(self, size: int, /) -> bytes:
        """The next line with its end, or its first ``size`` bytes."""
        ...


@contextmanager
def open_expanded(path: Path) -> Iterator[Readable]:
    """A regular file's bytes, decompressed if its first bytes are gzip's, whatever its name.

    Raises:
        UserError: It can't be opened or isn't a regular file; it is another kind of archive, its compression
            is damaged, or (while it is read) it expands beyond the limit.
    """
    with opened(path) as plain:
        start = plain.read(_MAGIC)
        plain.seek(0)
        for magic, kind in _ARCHIVES.items():
            if start.startswith(magic):
                raise UserError(f"{path} is {kind}: unpack it (only gzip can be read compressed).")
        try:
            yield _Expanded(path, plain) if start.startswith(_GZIP) else plain
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise UserError(f"{path}: its gzip compression is damaged or cut short ({error}).") from None


def check_expansion(path: Path, expanded: int, size: int) -> None:
    """Raises UserError if ``expanded`` bytes from a file of ``size`` bytes indicate a decompression bomb."""
    if expanded > max(ALWAYS, MAX_RATIO * size):
        raise UserError(
            f"{path} expands to more than {MAX_RATIO} times its {size:,} bytes, like a decompression bomb: "
            "if that is intended, store it uncompressed."
        )


class _Expanded:
    """The content of a gzipped file, within the limit."""

    def __init__(self, path: Path, packed: IO[bytes]) -> None:
        self._path, self._size, self._given = path, os.fstat(packed.fileno()).st_size, 0
        self._file = cast(IO[bytes], gzip.GzipFile(fileobj=packed))

    def read(self, size: int, /) -> bytes:
        return self._counted(self._file.read(size))

    def readline(self, size: int, /) -> bytes:
        return self._counted(self._file.readline(size), _LINE)

    def _counted(self, found: bytes, more: int = 0) -> bytes:
        self._given += len(found) + more
        check_expansion(self._path, self._given, self._size)
        return found
