"""The exception that the command line prints as one sentence instead of a traceback."""

import difflib
from collections.abc import Iterable

from trainers.errors import UserError

__all__ = ["UserError", "did_you_mean"]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A trailing hint for an unknown name.

    Returns:
        " Did you mean 'x'?" for the nearest known name, else " Known: a, b, c."; "" when none is known.
    """
    names = sorted(known)
    if not names:
        return ""
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f" Did you mean '{near[0]}'?" if near else f" Known: {', '.join(names)}."
