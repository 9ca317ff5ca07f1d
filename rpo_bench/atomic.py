"""Files and folders that exist whole or not at all."""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rpo_bench.errors import UserError

_WRITE_ERRORS = {
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EFBIG,
    errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY, errno.ENAMETOOLONG,
}  # fmt: skip


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Yields a temporary folder beside ``target``, renamed to it when the block ends without an error.

    A killed process leaves only the temporary folder, which the next attempt clears away.
    """
    temporary = target.with_name(f".{target.name}.tmp")
    with explained(target):
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        yield temporary
        shutil.rmtree(target, ignore_errors=True)
        temporary.replace(target)


@contextmanager
def atomic_file(target: Path) -> Iterator[Path]:
    """Yields a temporary path beside ``target``, renamed to it when the block ends without an error."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    with explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)


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
