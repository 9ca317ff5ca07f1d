"""Permissions for loading models."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Trust:
    """Permissions for loading models."""

    trust_remote_code: bool = False
    allow_pickle: bool = False
