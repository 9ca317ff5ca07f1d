"""Finds models by folder or hub name; hub models are pinned to a commit and downloaded once."""

import re
from dataclasses import dataclass
from pathlib import Path

from rpo_bench.errors import UserError
from rpo_bench.remote.hub import explained, resolve_commit

FLAG = "--models"
_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_COMMIT = re.compile("[0-9a-f]{40}")
_FILES = ["*.json", "*.safetensors*", "*.model", "*.txt", "*.jinja"]


@dataclass(frozen=True)
class Fetched:
    """A model's local folder and its commit."""

    folder: Path
    commit: str


@dataclass(frozen=True)
class ModelFolder:
    """A model's folder and its name in results, which includes the revision for hub models."""

    folder: Path
    name: str


def is_hub_name(name: str) -> bool:
    """Whether a name could be a model's name on the hub."""
    return _NAME.fullmatch(name) is not None and not name.startswith(".")


def fetch_model(
    name: str, revision: str | None, allow_pickle: bool, remote_code: bool, flag: str = FLAG
) -> Fetched:
    """Downloads a model from the hub, or uses its local copy.

    Args:
        name: ``owner/name``.
        revision: A branch, tag or commit; None: the latest.
        allow_pickle: Whether to download pickled weights too.
        remote_code: Whether to download code too.
        flag: The flag that named it, for messages.

    Raises:
        UserError: The download failed; the message says why and what to do.
    """
    from huggingface_hub import snapshot_download

    wanted = [*_FILES, *(["*.bin"] if allow_pickle else []), *(["*.py"] if remote_code else [])]
    commit = None
    try:
        commit = resolve_commit(name, "model", flag, revision)
    except UserError:
        copy = local_copy(name, revision) if _COMMIT.fullmatch(revision or "") else None
        if copy is None:
            raise
        return copy
    try:
        folder = Path(snapshot_download(name, revision=commit or revision, allow_patterns=wanted))
    except Exception as error:
        raise UserError(explained(name, "model", flag, revision, error)) from error
    return Fetched(folder, folder.name)


def local_copy(name: str, revision: str | None) -> Fetched | None:
    """A model's local copy, without contacting the hub; None without one."""
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(name, revision=revision, local_files_only=True))
    except Exception:
        return None
    return Fetched(folder, folder.name)


def model_folder(given: str, what: str) -> ModelFolder:
    """The folder ``given``, or the local copy of the hub model ``ORG/NAME`` or ``ORG/NAME@REVISION``.

    Args:
        given: A path, or a name.
        what: The flag that named it, for messages.

    Raises:
        UserError: Neither exists.
    """
    folder = Path(given).expanduser()
    if folder.exists():
        return ModelFolder(folder, shown_name(folder))
    name, _, revision = given.partition("@")
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise UserError(f"{what}: there is no model folder {given}.")
    try:
        # includes pickled weights; the loader decides whether to use them
        found = fetch_model(name, revision or None, True, False, _flag(what, given))
    except UserError:
        copy = local_copy(name, revision or None)
        if copy is None:
            raise
        found = copy
    return ModelFolder(found.folder, shown_name(found.folder))


def shown_name(folder: Path) -> str:
    """A folder's name in results: its own, or ``ORG/NAME@REVISION`` for a copy of a hub model."""
    folder = folder.resolve()
    snapshots, repository = folder.parent, folder.parent.parent.name
    if snapshots.name == "snapshots" and repository.startswith("models--"):
        return f"{repository.removeprefix('models--').replace('--', '/')}@{folder.name[:12]}"
    return folder.name


def _flag(what: str, given: str) -> str:
    """The flag without the name: ``--reward hf:`` for ``--reward hf:NAME``."""
    return what.removesuffix(given).rstrip() if what.endswith(given) else f"{what}:"
