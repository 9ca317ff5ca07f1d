"""Paths on this machine, and their form in records: relative to the working folder, or a name only."""

import os
import re
from pathlib import Path

#: An absolute path on this machine, or one from the home folder, in any text. URLs, relative paths ("a/b")
#: and a single slash word ("/v1") don't match.
ABSOLUTE = re.compile(
    r"(?<![\w./<~-])(?:~/|/(?:[\w.+@~-]+/)+|/(?:home|Users|root|mnt|media|tmp|private|scratch|workspace|opt|srv"
    r"|var|data)/)[^\s\"',;:()<>]*|(?<!\w)[A-Za-z]:\\[^\s\"',]*"
)
_MOST_UP = 2


def from_here(path: Path) -> str:
    """A path as a command run here takes it.

    It is relative if it is in or near the working folder, and ``ORG/NAME@COMMIT`` for a local copy of a hub
    model; any other path stays absolute.
    """
    path = Path(path).expanduser().absolute()
    if path.parent.name == "snapshots" and path.parent.parent.name.startswith("models--"):
        return f"{path.parent.parent.name.removeprefix('models--').replace('--', '/')}@{path.name}"
    try:
        relative = Path(os.path.relpath(path))
    except (ValueError, OSError):  # another drive, or a deleted working folder
        return str(path)
    climbs = relative.parts.count("..")
    shared = len(Path.cwd().parts) - climbs
    return str(relative) if not climbs or (climbs <= _MOST_UP and shared > 1) else str(path)


def recorded_path(path: str, name: str) -> str:
    """A path in a record: the result of ``from_here``, or ``name`` where that is absolute."""
    shown = from_here(Path(path))
    return name if Path(shown).is_absolute() else shown


def without_places(text: str) -> str:
    """The text with every absolute path replaced by its last part."""
    return ABSOLUTE.sub(lambda found: re.split(r"[/\\]", found[0].rstrip("/\\"))[-1], text)
