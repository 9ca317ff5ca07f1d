"""Reads untrusted files within limits: regular files, bounded sizes, finite numbers.

A folder of results may come from anyone, so a file may be a pipe that never ends, a device, a few kilobytes
that unpack to gigabytes, or contain a number too large to represent. All reads of stored results, logs,
judgements and metadata go through this module and return the content or raise one sentence.
"""

import gzip
import io
import json
import math
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from pydantic_core import from_json

from rpo_bench.errors import UserError
from rpo_bench.files.plain_data import MAX_WHOLE

_MIB = 2**20

#: Maximum bytes of a record, a card, a spec or other metadata.
SMALL = 32 * _MIB
#: Maximum bytes of samples, scores or a log, unpacked.
LARGE = 2048 * _MIB
#: Bytes that any compressed file may unpack to; beyond that the ratio counts.
UNPACKED = 128 * _MIB
#: Maximum compression ratio of a larger file: token data reach 5, one text for all prompts 100.
RATIO = 100
#: Maximum lines of samples, scores or a log.
LINES = 10_000_000

#: The largest accepted number: its cube is finite, and so are sums of cubes.
LARGEST = 1e100

_CHUNK = _MIB
#: Pattern of a number to refuse, after replacing all digits by 0 and removing +. Text may match too; it is
#: then only parsed twice.
_SUSPICIOUS = (24 * b"0", b"e000", b"NaN", b"Infinity")
_ALIKE = bytes.maketrans(b"123456789E", 9 * b"0" + b"e")
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


class Unreadable(UserError):  # noqa: N818 (it names what was found)
    """A file can't be used; the sentence has its path, and the line if known."""


class Missing(Unreadable):
    """The file doesn't exist."""


def read_bytes(file: Path, limit: int | None = None) -> bytes:
    """All of a regular file.

    Args:
        file: The file.
        limit: Maximum bytes; None: the limit of metadata.

    Raises:
        Missing: The file doesn't exist.
        Unreadable: It can't be read, isn't a regular file, or has more than ``limit`` bytes.
    """
    limit = SMALL if limit is None else limit
    with opened(file) as stream:
        data = stream.read(min(limit, os.fstat(stream.fileno()).st_size) + 1)
        data += stream.read(limit + 1 - len(data)) if len(data) <= limit else b""
    if len(data) > limit:
        raise Unreadable(f"{file} can't be read: it has more than {limit // _MIB:,} MB.")
    return data


def read_log(file: Path) -> bytes:
    """All of an append-only log, which may be large; raises the errors of ``read_bytes``."""
    return read_bytes(file, LARGE)


def read_text(file: Path, limit: int | None = None) -> str:
    """A regular file as UTF-8; raises the errors of ``read_bytes``, and Unreadable if it isn't UTF-8."""
    try:
        return read_bytes(file, limit).decode()
    except UnicodeDecodeError as error:
        raise Unreadable(f"{file} is not UTF-8 text (byte {error.start + 1}).") from error


def read_lines(file: Path) -> list[tuple[int, bytes]]:
    """The non-empty lines of a file with their numbers, unpacked if the name ends in ``.gz``.

    Raises:
        Missing: The file doesn't exist.
        Unreadable: It can't be read completely within the limits of this module.
    """
    data = _unpacked(file) if file.suffix == ".gz" else read_bytes(file, LARGE)
    if data.count(b"\n") > LINES:
        raise Unreadable(f"{file} can't be read: it has more than {LINES:,} lines.")
    return [(number, line) for number, line in enumerate(data.split(b"\n"), start=1) if line.strip()]


def unpacked(data: bytes) -> bytes:
    """Unpacks gzip data within the limits of this module.

    Raises:
        ValueError: It is damaged or too large unpacked; the text says which.
    """
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            return _within(stream, len(data))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"is damaged: {str(error).rstrip('.')}") from error


def read_archive(file: Path) -> bytes:
    """A ZIP archive of arrays, with a limit on the unpacked size.

    Raises:
        Missing: The file doesn't exist.
        Unreadable: It can't be read or isn't such an archive.
    """
    data = read_bytes(file, LARGE)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(one.file_size for one in archive.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise Unreadable(f"{file} can't be read: it isn't an archive of arrays.") from error
    if size > _most(len(data)):
        raise Unreadable(f"{file} can't be read: {_bomb(len(data))}.")
    return data


def read_json(file: Path, limit: int | None = None) -> Any:
    """The value of a JSON file; raises the errors of ``read_bytes``, and Unreadable if it isn't JSON."""
    data = read_bytes(file, limit)
    try:
        return parse_json(data)
    except ValueError as error:
        raise Unreadable(f"{file} is not JSON: {error}.") from error


def parse_json(data: bytes) -> Any:
    """Parses JSON of limited depth with valid Unicode and finite numbers.

    Raises:
        ValueError: It is anything else; the text says what.
    """
    try:
        from_json(data, allow_inf_nan=False)
    except ValueError as error:
        _python_says(data)  # with a clearer message
        raise ValueError(str(error)) from None
    return _python_says(data)


def suspicious(data: bytes) -> bool:
    """Whether JSON may contain a number to refuse, so that ``parse_json`` has to check it.

    Whole numbers beyond 64 bits pass up to 24 digits, since floats have as many after the point.
    """
    same = data.translate(_ALIKE, b"+")
    return any(mark in same for mark in _SUSPICIOUS)


def _python_says(data: bytes) -> Any:
    """Parses with the slower parser, which has clearer error messages."""
    try:
        return json.loads(data, parse_float=_float, parse_int=_int, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value) or abs(value) > LARGEST:
        raise ValueError(f"{_short(text)} is too large a number")
    return value


def _int(text: str) -> int:
    if len(text) > 20 or abs(int(text)) >= MAX_WHOLE:  # Python refuses numbers with thousands of digits
        raise ValueError(f"{_short(text)} is too large a number")
    return int(text)


def _short(text: str, longest: int = 24) -> str:
    return text if len(text) <= longest else f"{text[:longest]}…"


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


@contextmanager
def opened(file: Path) -> Iterator[BinaryIO]:
    """Opens a regular file without blocking on a pipe.

    Raises:
        Missing: The file doesn't exist.
        Unreadable: It can't be read or isn't a regular file.
    """
    try:
        _check_regular(file, file.stat().st_mode)  # devices aren't even opened
        handle = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
        with os.fdopen(handle, "rb") as stream:
            _check_regular(file, os.fstat(handle).st_mode)
            yield stream
    except (FileNotFoundError, NotADirectoryError):
        raise Missing(f"{file}: there is no such file.") from None
    except OSError as error:
        raise Unreadable(f"{file} can't be read: {error.strerror or error}.") from error
    except ValueError as error:  # a null byte in its name
        raise Unreadable(f"{file} can't be read: {error}.") from error


def _check_regular(file: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = next((name for of, name in _KINDS if of(mode)), "something else")
        raise Unreadable(f"{file} can't be read: it is {kind}, not a file.")


def _unpacked(file: Path) -> bytes:
    data = read_bytes(file, LARGE)
    try:
        return unpacked(data)
    except ValueError as error:
        raise Unreadable(f"{file} {error}.") from error


def _within(stream: gzip.GzipFile, packed: int) -> bytes:
    """Unpacks a stream piece by piece, and stops at a decompression bomb."""
    parts, size = [], 0
    while part := stream.read(_CHUNK):
        parts.append(part)
        size += len(part)
        if size > _most(packed):
            raise ValueError(f"can't be read: {_bomb(packed)}")
    return b"".join(parts)


def _most(packed: int) -> int:
    return min(LARGE, max(UNPACKED, RATIO * packed))


def _bomb(packed: int) -> str:
    return f"its {packed:,} bytes unpack to more than {_most(packed) // _MIB:,} MB"
