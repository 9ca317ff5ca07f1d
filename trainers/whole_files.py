"""Files and folders that appear whole, however many processes and threads write the same one at once."""

import errno
import fcntl
import itertools
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_ENDING = ".tmp"
_COUNT = itertools.count()
_TRIES = 1000  # of putting a folder in a place that others take meanwhile


def beside(target: Path) -> Path:
    """A hidden name in the same folder that no other process, thread or call has."""
    return target.with_name(f".{target.name}.{os.getpid()}-{next(_COUNT)}-{os.urandom(3).hex()}{_ENDING}")


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """Yields a name of its own beside ``target``, renamed to it when the block ends without an error."""
    temporary = beside(target)
    try:
        yield temporary
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Yields a new folder beside ``target``, which takes its place when the block ends without an error.

    Of several writers at once the last one's folder stays, whole. A killed process leaves its own behind; the
    next writer of the same target clears it away, and never one that is being written.
    """
    _clear(target)
    temporary, lock = _held(target)
    try:
        yield temporary
        _put(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        os.close(lock)


def _held(target: Path) -> tuple[Path, int]:
    """A new folder and the lock on it, which the system gives back when this process ends, however."""
    while True:
        temporary = beside(target)
        temporary.mkdir()
        try:
            lock = os.open(temporary, os.O_RDONLY)
        except FileNotFoundError:
            continue  # another writer took it for one left behind, before it was locked
        with suppress(OSError):  # a file system without locks: then nobody clears away what others left
            fcntl.flock(lock, fcntl.LOCK_EX)
        if temporary.is_dir():
            return temporary, lock
        os.close(lock)


def _clear(target: Path) -> None:
    """Takes away the folders of writers that were killed: nobody holds them."""
    for path in target.parent.iterdir():
        ours = path.name == f".{target.name}{_ENDING}" or path.name.startswith(f".{target.name}.")
        if not ours or not path.name.endswith(_ENDING) or path.is_symlink() or not path.is_dir():
            continue
        with suppress(OSError):
            lock = os.open(path, os.O_RDONLY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)


def _put(temporary: Path, target: Path) -> None:
    """Renames a folder to a place where another one may be, or come to be at any time."""
    for _ in range(_TRIES):
        try:
            temporary.rename(target)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        old = beside(target)
        with suppress(FileNotFoundError):
            target.rename(old)
            shutil.rmtree(old, ignore_errors=True)
    raise OSError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
