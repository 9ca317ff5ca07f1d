"""How results call a judge, and how one of several is chosen."""

import re
from collections.abc import Mapping
from typing import Any

from rpo_bench.errors import UserError
from rpo_bench.files.hashing import hash_json
from rpo_bench.judge.prompts import MAX_CHARS

_SHOWN = 8  # digits of a hash
_OWN = {"template": "embedded", "max_chars": MAX_CHARS}  # how a task's own judge is asked


def judge_name(identity: Mapping[str, Any]) -> str:
    """``backend:model``, and what tells it from all others: ``openai:gpt-x 1a2b3c4d``.

    That is the hash of its identity, by which its folder is called; a task's own judge, asked as tasks ask
    theirs, is told by the content of its weights.
    """
    content = identity.get("content")
    own = identity["backend"] == "embedded" and all(identity.get(k, v) == v for k, v in _OWN.items())
    told = content if own and isinstance(content, str) else hash_json(dict(identity))
    return f"{identity['backend']}:{identity['model']} {told[:_SHOWN]}"


def same_judge(recorded: str | None, name: str) -> bool:
    """Whether a record's win rates are by the judge of that name; earlier records have it without a hash."""
    return recorded is not None and recorded in (name, name.rpartition(" ")[0])


def short_name(name: str) -> str:
    """A judge's name within names of metrics: ``gpt-x-1a2b3c4d``."""
    return re.sub(r"[^\w.-]+", "-", name.partition(":")[2].rpartition("/")[2])


def chosen(names: Mapping[str, str], asked: str | None) -> list[str]:
    """The judges that ``--judge`` means: by name, hash, folder or model, or as ``judge run`` was given it.

    Args:
        names: Folder → name.
        asked: None: all of them.

    Returns:
        Folders.

    Raises:
        UserError: There is no such judge; the sentence says which there are.
    """
    found = [folder for folder, name in names.items() if asked is None or _means(asked, folder, name)]
    if not found:
        known = ", ".join(f"'{name}'" for name in names.values())
        raise UserError(f"--judge {asked}: there is no such judge here; there are {known}.")
    return found


def _means(asked: str, folder: str, name: str) -> bool:
    model, _, told = name.rpartition(" ")
    kind, _, rest = asked.partition(":")
    if kind == "hf":
        asked = f"hf:{rest.rstrip('/').rpartition('/')[2]}"
    elif kind == "python":
        asked = f"python:{rest.rpartition(':')[2]}"
    bare = model.partition(":")
    names = (name, model, bare[0], bare[2], bare[2].rpartition("/")[2], told, short_name(name))
    return bool(asked) and (asked in names or folder.startswith(asked))
