"""Files and folders that exist whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rpo_bench.errors import UserError


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
        os.replace(temporary, target)


@contextmanager
def atomic_file(target: Path) -> Iterator[Path]:
    """Yields a temporary path beside ``target``, renamed to it when the block ends without an error."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    with explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def explained(target: Path) -> Iterator[None]:
    """Turns the operating system's write errors into one sentence that names the path."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is None and error.strerror is None:
            raise
        raise UserError(
            f"{target} can't be written: {error.strerror} ({error.filename or target})."
        ) from error
