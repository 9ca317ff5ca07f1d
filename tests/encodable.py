"""Reports of tests as they go from one process to another: as UTF-8, whatever a test printed or logged."""

from typing import Any


def encodable(value: Any) -> Any:
    """The value with lone surrogates in its texts spelt out; pytest-xdist can't send them and would end."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {encodable(key): encodable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(encodable(item) for item in value)
    return value
