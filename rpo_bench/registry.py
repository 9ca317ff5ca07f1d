"""A registry: names to things, with entry points, plug-in files and did-you-mean errors."""

import hashlib
import importlib
import operator
import os
from collections.abc import Iterator, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Generic, TypeVar

from rpo_bench.errors import UserError, did_you_mean
from rpo_bench.plugins.user_code import exit_call, import_file

T = TypeVar("T")


class Registry(Generic[T]):
    """Names of one kind of thing (methods, metrics …), resolved on first use.

    A value is the thing itself or a ``"module:attribute"`` string, so that listing names imports nothing
    heavy. Installed packages add names through the entry-point group.
    """

    def __init__(self, kind: str, group: str, builtin: dict[str, str]) -> None:
        self.kind = kind
        self._group = group
        self._entries: dict[str, T | str] = dict(builtin)
        self._entry_points_read = False

    def add(self, name: str, value: T | str) -> None:
        """Registers ``name``; raises UserError when something else has that name already."""
        if name in self._entries and self._entries[name] not in (value, _target(value)):
            raise UserError(f"The {self.kind} '{name}' is defined twice: rename the one in your plug-in.")
        self._entries[name] = value

    def get(self, name: str) -> T:
        """The thing called ``name``; raises UserError, with the nearest name, when there is none."""
        self._read_entry_points()
        if name not in self._entries:
            raise UserError(f"Unknown {self.kind} '{name}'.{did_you_mean(name, self._entries)}")
        value = self._entries[name]
        if isinstance(value, str):
            value = self._resolve(name, value)
            self._entries[name] = value
        return value

    def _resolve(self, name: str, target: str) -> T:
        module, _, attribute = target.partition(":")
        try:
            found: T = operator.attrgetter(attribute)(importlib.import_module(module))
        except (ImportError, AttributeError) as error:
            raise UserError(f"The {self.kind} '{name}' ({target}) can't be imported: {error}.") from error
        except SystemExit as error:
            what = f"The {self.kind} '{name}' ({target})"
            raise UserError(f"{what} can't be imported: it {exit_call(error)}.") from error
        return found

    def __iter__(self) -> Iterator[str]:
        self._read_entry_points()
        return iter(list(self._entries))

    def __contains__(self, name: str) -> bool:
        self._read_entry_points()
        return name in self._entries

    def _read_entry_points(self) -> None:
        if self._entry_points_read:
            return
        self._entry_points_read = True
        for point in entry_points(group=self._group):
            self.add(point.name, point.value)


def _target(value: object) -> str:
    """How an entry point would call it, so that a module can be both a plug-in and an installed package."""
    return f"{getattr(value, '__module__', '')}:{getattr(value, '__qualname__', '')}"


#: The environment variable that names plug-in files, separated as in PATH.
PLUGINS_VARIABLE = "RPO_BENCH_PLUGIN"


def load_plugin(path: Path) -> None:
    """Imports a user's ``--plugin file.py``, whose top level registers what it adds; once per process.

    Raises:
        UserError: there is no such file, or importing it fails, ends the process or doesn't end.
    """
    if not path.is_file():
        raise UserError(f"--plugin {path}: there is no such file.")
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()
    name = f"rpo_bench_plugin_{path.stem}_{digest[:8]}"
    import_file(path, name, f"--plugin {path}")


def load_plugins(paths: Sequence[Path] = ()) -> None:
    """Imports the plug-ins named here and in the environment, and names them all in the environment.

    Child processes inherit it: a worker calls this without arguments to know what its parent knows.
    """
    inherited = [Path(part) for part in os.environ.get(PLUGINS_VARIABLE, "").split(os.pathsep) if part]
    everything = list(dict.fromkeys(path.resolve() for path in [*inherited, *paths]))
    for path in everything:
        load_plugin(path)
    if everything:
        os.environ[PLUGINS_VARIABLE] = os.pathsep.join(map(str, everything))
