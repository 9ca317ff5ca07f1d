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
    """SHA-256 over the names and bytes of a folder's files (a model's weights, tokenizer and config)."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))
    return hash_json([[p.relative_to(folder).as_posix(), hash_file(p)] for p in files])
