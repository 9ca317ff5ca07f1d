"""Where files lie on this machine, and how records tell of it: from the working folder, or by name alone."""

import os
import re
from pathlib import Path

#: An absolute path on this machine, or one from the home folder, in any text. Addresses, shares ("a/b") and
#: a single slash word ("/v1") are none.
ABSOLUTE = re.compile(
    r"(?<![\w./<~-])(?:~/|/(?:[\w.+@~-]+/)+|/(?:home|Users|root|mnt|media|tmp|private|scratch|workspace|opt|srv"
    r"|var|data)/)[^\s\"',;:()<>]*|(?<!\w)[A-Za-z]:\\[^\s\"',]*"
)
_MOST_UP = 2


def from_here(path: Path) -> str:
    """A path as a command that is run here takes it.

    Relative where it lies below the working folder or near it; a local copy of a hub model is its
    ``ORG/NAME@COMMIT``; anything else stays absolute.
    """
    path = Path(path).expanduser().absolute()
    if path.parent.name == "snapshots" and path.parent.parent.name.startswith("models--"):
        return f"{path.parent.parent.name.removeprefix('models--').replace('--', '/')}@{path.name}"
    try:
        relative = Path(os.path.relpath(path))
    except (ValueError, OSError):  # another drive, or a working folder that is gone
        return str(path)
    climbs = relative.parts.count("..")
    shared = len(Path.cwd().parts) - climbs
    return str(relative) if not climbs or (climbs <= _MOST_UP and shared > 1) else str(path)


def told(path: str, name: str) -> str:
    """A path as a record tells of it: as ``from_here`` has it, or ``name`` where that is absolute."""
    shown = from_here(Path(path))
    return name if Path(shown).is_absolute() else shown


def without_places(text: str) -> str:
    """The text with the last part of every absolute path in the path's place."""
    return ABSOLUTE.sub(lambda found: re.split(r"[/\\]", found[0].rstrip("/\\"))[-1], text)
