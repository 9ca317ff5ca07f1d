"""The exception that the command line prints as one sentence instead of a traceback."""

import difflib
import re
import traceback
from collections.abc import Iterable
from pathlib import Path

from trainers.errors import UserError, bounded

__all__ = ["LONGEST_QUOTE", "UserError", "bounded", "did_you_mean", "first_line", "located"]

#: Characters of others' text that a sentence quotes.
LONGEST_QUOTE = 300

_LONGEST = 200  # characters of a word that are compared, of a line that is quoted
_SENTENCE = re.compile(rf".{{20,{_LONGEST}}}?[.!?](?= [A-Z])")


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


def first_line(error: object) -> str:
    """What someone else's error, or text, says first, without a full stop; its type where it says nothing.

    Of a long line that is the first sentence or, where that is long too, the line without its middle.
    """
    line = " ".join((str(error).strip() or type(error).__name__).splitlines()[0].split())
    if len(line) > _LONGEST:
        sentence = _SENTENCE.match(line)
        line = bounded(line, _LONGEST) if sentence is None else sentence[0]
    return line.rstrip(" .:")


def located(error: BaseException) -> str:
    """Someone else's error in one line, with the place that raised it: "ValueError: no (x.py, line 3)"."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    text = bounded(" ".join(str(error).split()), LONGEST_QUOTE)
    return f"{type(error).__name__}: {text} ({Path(last.filename).name}, line {last.lineno})"
