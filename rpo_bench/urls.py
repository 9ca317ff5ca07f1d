"""Addresses as they may be recorded and shown."""

from urllib.parse import parse_qsl, urlsplit, urlunsplit


def without_secrets(url: str) -> str:
    """An address without user, password, query and final slash."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))


def credentials(url: str) -> list[str]:
    """What an address holds that nobody else is to see: its password and its query's values."""
    parts = urlsplit(url)
    return [one for one in (parts.password, *(value for _, value in parse_qsl(parts.query))) if one]
