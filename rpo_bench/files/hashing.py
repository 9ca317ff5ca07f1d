"""Content hashes: the identity of specs, data and weights."""

import hashlib
import json
from pathlib import Path
from typing import Any

#: A line of the model cards that we write; they describe a checkpoint and aren't part of its identity.
CARD_MARK = "<!-- model card by rpo-bench -->"

_NAME_BYTES = 200  # file systems allow 255, and temporary names are longer


def hash_json(value: Any) -> str:
    """SHA-256 (64 hex digits) of a JSON-able value, independent of the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def short_name(name: str) -> str:
    """A name that any file system accepts: a long one is cut and ends in 8 digits of its hash."""
    raw = name.encode()
    if len(raw) <= _NAME_BYTES:
        return name
    return f"{raw[: _NAME_BYTES - 9].decode(errors='ignore')}-{hashlib.sha256(raw).hexdigest()[:8]}"


def hash_folder(folder: Path) -> str:
    """SHA-256 over the names and bytes of a folder's files (a model's weights, tokenizer and config).

    Hidden files and folders don't count, since downloads leave their metadata there. Nor do our own model
    cards, which change with every measurement.
    """
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    visible = [name for name in names if not any(part.startswith(".") for part in name.split("/"))]
    if "README.md" in visible and CARD_MARK.encode() in (folder / "README.md").read_bytes():
        visible.remove("README.md")
    return hash_json([[name, hash_file(folder / name)] for name in visible])
