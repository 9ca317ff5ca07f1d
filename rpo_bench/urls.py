"""Addresses as they may be recorded and shown."""

from urllib.parse import urlsplit, urlunsplit


def without_secrets(url: str) -> str:
    """An address without user, password, query and final slash."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))
