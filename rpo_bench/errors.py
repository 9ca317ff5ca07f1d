"""The exception that the command line prints as one sentence, and helpers for messages."""

import difflib
import re
import traceback
from collections.abc import Iterable
from pathlib import Path

from trainers.errors import UserError, bounded

__all__ = ["LONGEST_QUOTE", "UserError", "bounded", "did_you_mean", "first_line", "located"]

#: Maximum characters quoted from other texts.
LONGEST_QUOTE = 300

_LONGEST = 200  # characters of a compared word, or of a quoted line
_SENTENCE = re.compile(rf".{{20,{_LONGEST}}}?[.!?](?= [A-Z])")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint for an unknown name, to be appended to a message.

    Returns:
        " Did you mean 'x'?" for a similar name, else " Known: a, b, c."; "" without known names.
    """
    names = sorted(known)
    if not names:
        return ""
    near = difflib.get_close_matches(word[:_LONGEST], names, n=1, cutoff=0.6)
    return f" Did you mean '{near[0]}'?" if near else f" Known: {', '.join(names)}."


def first_line(error: object) -> str:
    """The first line of an error or text without a full stop; for an empty error, its type.

    A long line is reduced to its first sentence or, if that is long too, its middle is cut out.
    """
    line = " ".join((str(error).strip() or type(error).__name__).splitlines()[0].split())
    if len(line) > _LONGEST:
        sentence = _SENTENCE.match(line)
        line = bounded(line, _LONGEST) if sentence is None else sentence[0]
    return line.rstrip(" .:")


def located(error: BaseException) -> str:
    """An error in one line with the place that raised it: "ValueError: no (x.py, line 3)"."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    text = bounded(" ".join(str(error).split()), LONGEST_QUOTE)
    return f"{type(error).__name__}: {text} ({Path(last.filename).name}, line {last.lineno})"
