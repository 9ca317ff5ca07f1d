"""Standard output and error, guarded: whoever writes to them, a terminal is never commanded by a text.

Our own words go through ``rpo_bench.terminal.screen``, whose styles and bars pass. All else that a process
says ends here: warnings, logging, tracebacks, what libraries and plug-ins print.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from rpo_bench.terminal.visible import visible_lines

#: How tqdm draws a bar again and again in its line, and goes to the lines of others.
_BAR = re.compile(r"\r|(?:\n|\x1b\[A)+$")


class GuardedStream:
    """A text stream on which every character that could command a terminal is spelt out.

    Attributes:
        rich_proxied_file: The stream behind it; consoles of rich look for it, to write their styles there.
    """

    def __init__(self, stream: TextIO) -> None:
        self.rich_proxied_file = stream

    def write(self, text: str) -> int:
        """Writes a text; a bar of tqdm may go back to the beginning of its line."""
        kept = ""
        if text[:1] in ("\r", "\n", "\x1b") and _is_bar(sys._getframe(1).f_globals.get("__name__")):
            found = _BAR.match(text)
            kept = found[0] if found else ""
        self.rich_proxied_file.write(kept + visible_lines(text[len(kept) :]))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Writes texts one after the other."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        """Everything else is the stream's own."""
        return getattr(self.rich_proxied_file, name)


@contextmanager
def guarded() -> Iterator[None]:
    """Guards standard output and error for as long as the block runs."""
    before = sys.stdout, sys.stderr
    guards = [GuardedStream(stream) if _needs_guard(stream) else stream for stream in before]
    sys.stdout, sys.stderr = guards
    try:
        yield
    finally:
        if sys.stdout is guards[0]:
            sys.stdout = before[0]
        if sys.stderr is guards[1]:
            sys.stderr = before[1]


def unguarded(stream: Any) -> Any:
    """The stream behind a guard, and behind what rich puts before it while it draws."""
    while (inner := getattr(stream, "rich_proxied_file", None)) is not None:
        stream = inner
    return stream


def _needs_guard(stream: Any) -> bool:
    return stream is not None and not isinstance(stream, GuardedStream)


def _is_bar(module: Any) -> bool:
    return isinstance(module, str) and module.partition(".")[0] == "tqdm"
