"""Bytes of users' files, expanded where they are compressed, as long as that stays in proportion."""

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol, cast

from rpo_bench.errors import UserError
from rpo_bench.files.reading import opened

#: A file may be expanded to so many bytes whatever its size; beyond, to so many times its size.
ALWAYS = 16 << 20
MAX_RATIO = 200

_GZIP = b"\x1f\x8b"
#: First bytes of archives that aren't read, and what each is.
_ARCHIVES = {
    b"PK\x03\x04": "a zip archive",
    b"\xfd7zXZ\x00": "an xz archive",
    b"BZh": "a bzip2 archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
}
_LINE = 64  # bytes that a line counts for beside its own: what it costs to look at it
_MAGIC = max(map(len, _ARCHIVES))


class Readable(Protocol):
    """Bytes that are read on and on; both give fewer than ``size`` bytes at the end alone."""

    def read(self, size: int, /) -> bytes:
        """The next bytes, at most ``size``."""
        ...

    def readline(self, size: int, /) -> bytes:
        """The next line with its end, or its first ``size`` bytes."""
        ...


@contextmanager
def open_expanded(path: Path) -> Iterator[Readable]:
    """A regular file's bytes, expanded when its first bytes say gzip, whatever its name.

    Raises:
        UserError: It can't be opened or is no regular file; it is an archive of another kind, its compression
            is damaged, or (while it is read) it expands beyond all measure.
    """
    with opened(path) as plain:
        start = plain.read(_MAGIC)
        plain.seek(0)
        for magic, kind in _ARCHIVES.items():
            if start.startswith(magic):
                raise UserError(f"{path} is {kind}: unpack it (of compressed files, gzip alone is read).")
        try:
            yield _Expanded(path, plain) if start.startswith(_GZIP) else plain
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise UserError(f"{path}: its gzip compression is damaged or cut short ({error}).") from None


def check_expansion(path: Path, expanded: int, size: int) -> None:
    """Raises UserError where a file of ``size`` bytes that gave ``expanded`` ones is a bomb."""
    if expanded > max(ALWAYS, MAX_RATIO * size):
        raise UserError(
            f"{path} expands to more than {MAX_RATIO} times its {size:,} bytes, as decompression bombs do: "
            "if it is meant, write it uncompressed."
        )


class _Expanded:
    """What a gzipped file holds, as long as that stays in proportion."""

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
