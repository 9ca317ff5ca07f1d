"""A model by its folder, or by its name on the Hugging Face hub: the very commit, fetched once."""

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
    """A model's folder on this machine, and the commit that it is of."""

    folder: Path
    commit: str


@dataclass(frozen=True)
class ModelFolder:
    """Where a model lies, and what results call it: a hub model's name carries its revision."""

    folder: Path
    name: str


def is_hub_name(name: str) -> bool:
    """Whether a name could be that of a model on the hub."""
    return _NAME.fullmatch(name) is not None and not name.startswith(".")


def fetch_model(
    name: str, revision: str | None, allow_pickle: bool, remote_code: bool, flag: str = FLAG
) -> Fetched:
    """Fetches a model from the hub, or takes the copy of it on this machine.

    Args:
        name: ``owner/name``.
        revision: A branch, tag or commit; None: the latest.
        allow_pickle: Whether pickled weights are wanted too.
        remote_code: Whether code is wanted too.
        flag: What named it, for messages.

    Raises:
        UserError: It can't be had; the sentence says why and what to do.
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
    """What of a model is on this machine, without asking the hub; None where there is nothing."""
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
        UserError: There is neither.
    """
    folder = Path(given).expanduser()
    if folder.exists():
        return ModelFolder(folder, shown_name(folder))
    name, _, revision = given.partition("@")
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise UserError(f"{what}: there is no model folder {given}.")
    try:
        # pickled weights too: whoever loads them decides about those
        found = fetch_model(name, revision or None, True, False, _flag(what, given))
    except UserError:
        copy = local_copy(name, revision or None)
        if copy is None:
            raise
        found = copy
    return ModelFolder(found.folder, shown_name(found.folder))


def shown_name(folder: Path) -> str:
    """What results call a folder: its name, or ``ORG/NAME@REVISION`` for a local copy of a hub model."""
    folder = folder.resolve()
    snapshots, repository = folder.parent, folder.parent.parent.name
    if snapshots.name == "snapshots" and repository.startswith("models--"):
        return f"{repository.removeprefix('models--').replace('--', '/')}@{folder.name[:12]}"
    return folder.name


def _flag(what: str, given: str) -> str:
    """``--reward hf:`` of ``--reward hf:NAME``."""
    return what.removesuffix(given).rstrip() if what.endswith(given) else f"{what}:"
