"""What is allowed when models are loaded."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Trust:
    """What is allowed when models are loaded."""

    trust_remote_code: bool = False
    allow_pickle: bool = False
