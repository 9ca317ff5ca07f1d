"""Warnings of the Python interface."""

import warnings

from rpo_bench.terminal.visible import visible_lines


def warn(text: str, level: int) -> None:
    """Issues a warning without terminal control characters; ``level`` is the stack level of the caller."""
    warnings.warn(visible_lines(text), stacklevel=level + 1)
