"""Imports users' Python files (plug-ins, rewards, judges) after a trial in a child process.

Such a file may end, crash or block the importing process, so that a run could stop early with exit code 0.
It is therefore tried first in a child process with a time limit. The trial is no sandbox: code that passes
it runs in this process with all its permissions.
"""

import functools
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType

from rpo_bench.errors import UserError

#: Packages that plug-ins use; importing them before forking avoids importing them twice.
_KNOWN = ("numpy", "rpo_bench", "torch", "trainers")


def import_file(file: Path, name: str, what: str, trial: bool = True) -> ModuleType:
    """Imports a file as the module ``name``, once per process.

    Args:
        file: its path.
        name: its name in ``sys.modules``.
        what: its name in messages: the path, or a flag with it.
        trial: whether to try it first; not needed in child processes.

    Raises:
        UserError: it isn't a Python file, or importing it fails, ends the process or takes too long.
    """
    if name in sys.modules:
        return sys.modules[name]
    if importlib.util.spec_from_file_location(name, file) is None:
        raise UserError(f"{what} is not a Python file.")
    if trial:
        from rpo_bench.plugins.trial import try_out

        _import_known(file)
        try_out(functools.partial(_execute, file, name), what, "importing it")
    with surviving(what, "importing it"):
        return _execute(file, name)


def _execute(file: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


@contextmanager
def surviving(what: str, doing: str) -> Iterator[None]:
    """Converts exceptions of users' code, including SystemExit, to UserError.

    A ``KeyboardInterrupt`` isn't converted, as it comes from the user.
    """
    try:
        yield
    except (UserError, KeyboardInterrupt):
        raise
    except SystemExit as error:
        raise UserError(f"{what}: {doing} {exit_call(error)}.") from error
    except BaseException as error:
        raise UserError(f"{what}: {doing} failed: {type(error).__name__}: {error}.") from error


def exit_call(error: SystemExit) -> str:
    """``called sys.exit(0)``."""
    return f"called sys.exit({'' if error.code is None else repr(error.code)[:80]})"


def _import_known(file: Path) -> None:
    """Imports what a file uses from ``_KNOWN`` packages, if children are forked."""
    import ast

    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return  # reported when the file is imported
    for node in tree.body:
        names = [one.name for one in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        module = node.module if isinstance(node, ast.ImportFrom) and node.level == 0 else None
        for name in [module] if module else names if isinstance(node, ast.Import) else []:
            if name.partition(".")[0] in _KNOWN:
                with suppress(Exception):  # reported when the file is imported
                    found = importlib.import_module(name)
                    for attribute in names if module else []:
                        getattr(found, attribute, None)  # triggers a lazy import
