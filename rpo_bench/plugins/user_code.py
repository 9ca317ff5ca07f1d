"""Files of Python that users bring (plug-ins, rewards, judges): tried in a child process, then imported.

Such a file may end the process that imports it, crash it or never come back, and a run would end with nothing
done and exit code 0. So it is tried first, in a child process with a time limit. Nothing more is promised:
what comes through the trial runs in this process with all its rights.
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

#: Packages that plug-ins stand on: imported here before a child is forked, they needn't be imported twice.
_KNOWN = ("numpy", "rpo_bench", "torch", "trainers")


def import_file(file: Path, name: str, what: str, trial: bool = True) -> ModuleType:
    """A file as the module ``name``; imported once per process.

    Args:
        file: its path.
        name: what ``sys.modules`` calls it.
        what: its name in messages: the path, or a flag with it.
        trial: whether it is tried first; a child of ours doesn't: its parent has.

    Raises:
        UserError: it is no Python file, or importing it fails, ends the process or takes too long.
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
    """Makes an error of whatever users' code raises, the wish to end the process included.

    A ``KeyboardInterrupt`` goes through: here it is the user's own.
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
    """Imports what a file takes from ``_KNOWN`` packages, where children are forked."""
    import ast

    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return  # told when it is imported
    for node in tree.body:
        names = [one.name for one in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        module = node.module if isinstance(node, ast.ImportFrom) and node.level == 0 else None
        for name in [module] if module else names if isinstance(node, ast.Import) else []:
            if name.partition(".")[0] in _KNOWN:
                with suppress(Exception):  # told when the file is imported
                    found = importlib.import_module(name)
                    for attribute in names if module else []:
                        getattr(found, attribute, None)  # imported when it is asked for
