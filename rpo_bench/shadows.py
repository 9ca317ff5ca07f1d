"""Files of a user's own that have the name of a package: the package is found all the same.

``trainers`` and ``tasks`` are common words, and so are ``datasets`` and ``evaluate``. Once rpo_bench is
imported, these names are the packages', wherever else ``sys.path`` has something so called: in a script, in a
worker, as a wheel or from a checkout. Where that can't be, as the user's own was imported before, one
sentence says whose file it is and what to do.
"""

import sys
import warnings
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

#: Packages that come with rpo_bench, and lie beside it.
OURS = ("trainers", "tasks")
#: Packages that it can't do without: those that pyproject.toml names.
NEEDED = (
    "accelerate", "datasets", "jinja2", "numpy", "openai", "pandas", "peft", "pyarrow", "pydantic", "regex",
    "rich", "safetensors", "scipy", "tokenizers", "torch", "transformers", "typer", "yaml",
)  # fmt: skip
#: Packages that some of it uses, or that those use.
USED = (
    "bert_score", "detoxify", "evaluate", "filelock", "fsspec", "httpx", "huggingface_hub", "lm_eval", "nltk",
    "packaging", "profanity_check", "psutil", "ray", "requests", "rouge_score", "sacrebleu",
    "sklearn", "tqdm", "trl", "vllm",
)  # fmt: skip
_HOME = Path(__file__).resolve().parent.parent


class ShadowedError(ImportError):
    """A file that isn't the package's stands in its place; the text is one sentence."""


def install() -> None:
    """Sees to it that these names are the packages' in this process.

    Raises:
        ShadowedError: something else was imported under one of them before.
    """
    for name in (*OURS, *NEEDED):
        module = sys.modules.get(name)
        file = None if module is None else _foreign(name, getattr(module, "__spec__", None))
        if file is not None:
            raise ShadowedError(
                f"{file} was imported as '{name}' before rpo_bench, which needs its package of that name: "
                "rename that file."
            )
    if not any(isinstance(finder, Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, Finder())


def shadowed_in(error: BaseException | None) -> ShadowedError | None:
    """The ShadowedError that an error is, or that a library made another one of."""
    while error is not None and not isinstance(error, ShadowedError):
        error = error.__cause__ or error.__context__
    return error


class Finder:
    """Stands before the other finders of ``sys.meta_path``."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The package of one of our names, where something else stands before it; else nothing."""
        if path is not None:
            return None
        if name in OURS:
            return _own(name)
        if name not in NEEDED and name not in USED:
            return None
        file = _foreign(name, PathFinder.find_spec(name))
        return None if file is None else _instead_of(file, name)


class _Own(ModuleType):
    """One of our packages. Where a user looks in it for what a file of his own has, it says so."""

    def __getattr__(self, attribute: str) -> Any:
        name = self.__name__
        if attribute.startswith("_") or _there(
            _HOME / name, attribute
        ):  # a module that is yet to be imported
            raise AttributeError(f"module '{name}' has no attribute '{attribute}'")
        others = [_there(Path(entry), name) for entry in sys.path]
        other = next((file for file in others if file not in (None, _HOME / name)), None)
        if other is None:
            raise AttributeError(f"module '{name}' has no attribute '{attribute}'")
        raise ShadowedError(
            f"'{attribute}' isn't in RPO-Bench's package '{name}', which was imported, and not {other}: "
            "rename that one."
        )


class _Loader(SourceFileLoader):
    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Own(spec.name)


def _own(name: str) -> ModuleSpec | None:
    folder = _HOME / name
    file = str(folder / "__init__.py")
    loader = _Loader(name, file)
    return spec_from_file_location(name, file, loader=loader, submodule_search_locations=[str(folder)])


def _instead_of(file: Path, name: str) -> ModuleSpec | None:
    """The package behind a user's file of its name; the file itself where that is the user's own wish."""
    package = PathFinder.find_spec(name, _but(file.parent))
    importer = _importer()
    if package is None or importer.parent == file.parent:
        if name in NEEDED or importer.is_relative_to(_HOME / "rpo_bench"):
            raise ShadowedError(
                f"{file} has the name of the package '{name}', which RPO-Bench needs: rename that file."
            )
        return None
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    if main is not None and Path(main).resolve().parent == file.parent:
        warnings.warn(
            f"'{name}' is the package of that name here, as RPO-Bench needs it, and not {file}: rename that "
            "file if you want to import it.",
            stacklevel=2,
        )
    return package


def _foreign(name: str, spec: ModuleSpec | None) -> Path | None:
    """The user's own file or folder that a spec is of; None where it is the package's."""
    if spec is None or not spec.has_location or spec.origin is None:
        return None
    found = Path(spec.origin).resolve()
    if name in OURS:
        return None if found.parent == _HOME / name else found
    if found.name != "__init__.py":  # all of these packages are folders
        return found if found.name == f"{name}.py" else None
    folder = found.parent
    near = {Path(sys.path[0]).resolve() if sys.path else None, Path.cwd()}
    behind = folder.parent in near and PathFinder.find_spec(name, _but(folder.parent)) is not None
    return folder if behind else None


def _but(folder: Path) -> list[str]:
    """Where modules are looked for, without that folder."""
    return [entry for entry in sys.path if Path(entry).resolve() != folder]


def _there(entry: Path, name: str) -> Path | None:
    """The module or package of a name in a folder."""
    path = entry.resolve() / name
    if (path / "__init__.py").is_file():
        return path
    file = path.with_name(f"{name}.py")
    return file if file.is_file() else None


def _importer() -> Path:
    """The file whose code imports something."""
    frame = sys._getframe(1)
    while frame.f_back is not None and (
        frame.f_code.co_filename == __file__ or "importlib" in frame.f_code.co_filename
    ):
        frame = frame.f_back
    return Path(frame.f_code.co_filename).resolve()
