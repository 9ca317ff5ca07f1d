"""A model's folder by its path, or by its name on the Hugging Face hub."""

from dataclasses import dataclass
from pathlib import Path

from rpo_bench.errors import UserError

_FILES = ["*.json", "*.safetensors*", "*.model", "*.txt", "*.bin"]


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
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(name, revision=revision or None, allow_patterns=_FILES))
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")
        raise UserError(
            f"{what}: there is no folder {given}, and the hub has no model of that name for this machine "
            f"({first}): download it elsewhere and give its folder."
        ) from error
    return Fetched(folder, shown_name(folder))


def shown_name(folder: Path) -> str:
    """What results call a folder: its name, or ``ORG/NAME@REVISION`` for a local copy of a hub model."""
    folder = folder.resolve()
    snapshots, repository = folder.parent, folder.parent.parent.name
    if snapshots.name == "snapshots" and repository.startswith("models--"):
        return f"{repository.removeprefix('models--').replace('--', '/')}@{folder.name[:12]}"
    return folder.name
