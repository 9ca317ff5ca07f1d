"""Atomic writes of files and folders."""

import errno
import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rpo_bench.errors import UserError
from trainers.whole_files import whole_file, whole_folder

_WRITE_ERRORS = {
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EFBIG,
    errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY, errno.ENAMETOOLONG,
}  # fmt: skip


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Yields a temporary folder beside ``target``, renamed to it when the block ends without an error.

    A killed process leaves only the temporary folder, which the next attempt removes. Of concurrent writers
    the last one wins, with a complete folder.
    """
    with explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with whole_folder(target) as temporary:
            yield temporary


@contextmanager
def atomic_file(target: Path) -> Iterator[Path]:
    """Yields a temporary path beside ``target``, renamed to it when the block ends without an error."""
    with explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(target) as temporary:
            yield temporary


@contextmanager
def one_writer(folder: Path) -> Iterator[None]:
    """Locks a folder against other processes and threads that write several related files in it.

    The lock is on the folder itself, so no lock file is left behind, and the system releases it when the
    process ends for any reason. On a file system without locks it has no effect.
    """
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


@contextmanager
def explained(target: Path) -> Iterator[None]:
    """Turns the operating system's write errors into one sentence with the path."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        number = _system_error(error)
        if number not in _WRITE_ERRORS:
            raise
        where = getattr(error, "filename", None) or target
        raise UserError(f"{target} can't be written: {os.strerror(number)} ({where}).") from error


def _system_error(error: Exception) -> int:
    """The errno of an error, also if a library wraps it; 0 for other errors."""
    if isinstance(error, OSError):
        return error.errno or 0
    wrapped = re.search(r"\(os error (\d+)\)", str(error))  # safetensors and tokenizers
    if wrapped:
        return int(wrapped[1])
    return errno.ENOSPC if "inline_container" in str(error) else 0  # torch.save on a full disk
