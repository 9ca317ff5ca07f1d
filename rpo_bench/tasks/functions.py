"""Functions in Python files of tasks and users: loading them, and trying them in a child process."""

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rpo_bench.errors import UserError
from rpo_bench.files.hashing import hash_file, hash_json
from rpo_bench.plugins.user_code import import_file


def load_function(file: Path, name: str) -> Any:
    """Loads a function from a Python file; raises UserError when either is missing."""
    if not file.is_file():
        raise UserError(f"{file}: there is no such file (needed for its function '{name}').")
    identity = hash_json([str(file.resolve()), hash_file(file)])  # equal files may import other neighbours
    module = import_file(file, f"rpo_bench_function_{identity[:12]}", str(file), trial=not _is_ours(file))
    if not hasattr(module, name):
        raise UserError(f"{file} has no function '{name}'.")
    return getattr(module, name)


def try_function(file: Path, name: str, what: str, *arguments: Any) -> None:
    """Calls a function of a user's file in a child process, to check that it returns.

    Its return value and ordinary exceptions are ignored.

    Raises:
        UserError: the call ends the process, crashes it or takes too long.
    """
    if not _is_ours(file):
        from rpo_bench.plugins.trial import try_out

        try_out(partial(_call, file, name, arguments), what, "calling it")


def _call(file: Path, name: str, arguments: Sequence[Any]) -> None:
    found = load_function(file, name)(*arguments)
    if isinstance(found, Iterable):
        list(found)


def _is_ours(file: Path) -> bool:
    """Whether a file is part of this package and needs no trial."""
    import tasks

    return any(file.resolve().is_relative_to(Path(root).resolve()) for root in tasks.__path__)
