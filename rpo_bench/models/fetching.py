"""A model's folder by its path, or by its name on the Hugging Face hub."""

from dataclasses import dataclass
from pathlib import Path

from rpo_bench.errors import UserError
from rpo_bench.models.hub import fetch_model, local_copy


@dataclass(frozen=True)
class Fetched:
    """Where a model lies, and what results call it: a hub model's name carries its revision."""

    folder: Path
    name: str


def model_folder(given: str, what: str) -> Fetched:
    """The folder ``given``, or the local copy of the hub model ``ORG/NAME`` or ``ORG/NAME@REVISION``.

    Args:
        given: A path, or a name.
        what: The flag that named it, for messages.

    Raises:
        UserError: There is neither.
    """
    folder = Path(given).expanduser()
    if folder.exists():
        return Fetched(folder, shown_name(folder))
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
    return Fetched(found.folder, shown_name(found.folder))


def _flag(what: str, given: str) -> str:
    """``--reward hf:`` of ``--reward hf:NAME``."""
    return what.removesuffix(given).rstrip() if what.endswith(given) else f"{what}:"


def shown_name(folder: Path) -> str:
    """What results call a folder: its name, or ``ORG/NAME@REVISION`` for a local copy of a hub model."""
    folder = folder.resolve()
    snapshots, repository = folder.parent, folder.parent.parent.name
    if snapshots.name == "snapshots" and repository.startswith("models--"):
        return f"{repository.removeprefix('models--').replace('--', '/')}@{folder.name[:12]}"
    return folder.name
