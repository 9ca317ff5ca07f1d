"""Names of judges in results, and selecting judges by name."""

import re
from collections.abc import Mapping
from typing import Any

from rpo_bench.errors import UserError
from rpo_bench.files.hashing import hash_json
from rpo_bench.judge.prompts import MAX_CHARS

_SHOWN = 8  # digits of a hash
_OWN = {"template": "embedded", "max_chars": MAX_CHARS}  # settings of a task's own judge


def judge_name(identity: Mapping[str, Any]) -> str:
    """``backend:model`` and a hash that makes it unique: ``openai:gpt-x 1a2b3c4d``.

    The hash is that of its identity, which also names its folder. For a task's own judge with the default
    settings, it is the hash of its weights.
    """
    content = identity.get("content")
    own = identity["backend"] == "embedded" and all(identity.get(k, v) == v for k, v in _OWN.items())
    digest = content if own and isinstance(content, str) else hash_json(dict(identity))
    return f"{identity['backend']}:{identity['model']} {digest[:_SHOWN]}"


def same_judge(recorded: str | None, name: str) -> bool:
    """Whether a record's win rates are from this judge; earlier records store the name without a hash."""
    return recorded is not None and recorded in (name, name.rpartition(" ")[0])


def short_name(name: str) -> str:
    """A judge's name inside metric names: ``gpt-x-1a2b3c4d``."""
    return re.sub(r"[^\w.-]+", "-", name.partition(":")[2].rpartition("/")[2])


def chosen(names: Mapping[str, str], given: str | None) -> list[str]:
    """The judges matching ``--judge``: a name, hash, folder, model, or the value given to ``judge run``.

    Args:
        names: Folder → name.
        given: None: all of them.

    Returns:
        Folders.

    Raises:
        UserError: There is no such judge; the message lists the existing ones.
    """
    found = [folder for folder, name in names.items() if given is None or _means(given, folder, name)]
    if not found:
        known = ", ".join(f"'{name}'" for name in names.values())
        raise UserError(f"--judge {given}: there is no such judge here; there are {known}.")
    return found


def _means(given: str, folder: str, name: str) -> bool:
    model, _, digest = name.rpartition(" ")
    kind, _, rest = given.partition(":")
    if kind == "hf":
        given = f"hf:{rest.rstrip('/').rpartition('/')[2]}"
    elif kind == "python":
        given = f"python:{rest.rpartition(':')[2]}"
    bare = model.partition(":")
    names = (name, model, bare[0], bare[2], bare[2].rpartition("/")[2], digest, short_name(name))
    return bool(given) and (given in names or folder.startswith(given))
