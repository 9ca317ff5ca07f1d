"""The exception that the command line prints as one sentence instead of a traceback."""

import difflib
import traceback
from collections.abc import Iterable
from pathlib import Path

from trainers.errors import UserError, bounded

__all__ = ["LONGEST_QUOTE", "UserError", "bounded", "did_you_mean", "first_line", "located"]

#: Characters of others' text that a sentence quotes.
LONGEST_QUOTE = 300


_LONGEST = 200  # characters of a word that are compared, of a line that is quoted


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A trailing hint for an unknown name.

    Returns:
        " Did you mean 'x'?" for the nearest known name, else " Known: a, b, c."; "" when none is known.
    """
    names = sorted(known)
    if not names:
        return ""
    near = difflib.get_close_matches(word[:_LONGEST], names, n=1, cutoff=0.6)
    return f" Did you mean '{near[0]}'?" if near else f" Known: {', '.join(names)}."


def first_line(error: BaseException) -> str:
    """What someone else's error says first, without a full stop; its type where it says nothing."""
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    return bounded(" ".join(text.split()), _LONGEST).rstrip(".")


def located(error: BaseException) -> str:
    """Someone else's error in one line, with the place that raised it: "ValueError: no (x.py, line 3)"."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    text = bounded(" ".join(str(error).split()), LONGEST_QUOTE)
    return f"{type(error).__name__}: {text} ({Path(last.filename).name}, line {last.lineno})"
