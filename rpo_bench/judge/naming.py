"""How results call a judge."""

from collections.abc import Mapping
from typing import Any

_SHOWN = 8  # digits of a content hash


def judge_name(identity: Mapping[str, Any]) -> str:
    """``backend:model``, and what tells it from others of that name: the content of its weights or file."""
    name = f"{identity['backend']}:{identity['model']}"
    content = identity.get("content")
    return f"{name} {content[:_SHOWN]}" if isinstance(content, str) else name
