"""Files and folders that exist whole or not at all."""

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

    A killed process leaves only the temporary folder, which the next attempt clears away. Of several writers
    at once the last one's folder stays, whole.
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
    """Waits until no other process or thread writes several files of a folder that belong together.

    The lock is the folder's own, so that none is left behind, and is given back when the process ends,
    however. A file system without locks keeps nobody out.
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
    """Turns the operating system's write errors into one sentence that names the path."""
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
    """The operating system's number of an error, also of those that libraries wrap; 0 for any other."""
    if isinstance(error, OSError):
        return error.errno or 0
    wrapped = re.search(r"\(os error (\d+)\)", str(error))  # safetensors and tokenizers
    if wrapped:
        return int(wrapped[1])
    return errno.ENOSPC if "inline_container" in str(error) else 0  # torch.save on a full disk
