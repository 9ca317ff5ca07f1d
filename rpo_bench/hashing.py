"""Content hashes: the identity of specs, data and weights."""

import hashlib
import json
from pathlib import Path
from typing import Any


def hash_json(value: Any) -> str:
    """SHA-256 (64 hex digits) of a JSON-able value, independent of the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_folder(folder: Path) -> str:
    """SHA-256 over the names and bytes of a folder's files (a model's weights, tokenizer and config).

    Hidden files and folders don't count: downloads leave their bookkeeping there.
    """
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    visible = [name for name in names if not any(part.startswith(".") for part in name.split("/"))]
    return hash_json([[name, hash_file(folder / name)] for name in visible])
