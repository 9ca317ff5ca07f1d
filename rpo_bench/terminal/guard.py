"""Guards standard output and error: no text that a process writes can control the terminal.

Our own output goes through ``rpo_bench.terminal.screen``, whose styles and bars pass. This module handles
everything else: warnings, logging, tracebacks, and output of libraries and plug-ins.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from rpo_bench.terminal.visible import visible_lines

#: Control sequences that tqdm uses to redraw bars and to move between their lines.
_BAR = re.compile(r"\r|(?:\n|\x1b\[A)+$")


class GuardedStream:
    """A text stream that spells out every character that could control a terminal.

    Attributes:
        rich_proxied_file: The stream behind it; rich's consoles write their styles to it.
    """

    def __init__(self, stream: TextIO) -> None:
        self.rich_proxied_file = stream

    def write(self, text: str) -> int:
        """Writes a text; a tqdm bar may return to the start of its line."""
        kept = ""
        if text[:1] in ("\r", "\n", "\x1b") and _is_bar(sys._getframe(1).f_globals.get("__name__")):
            found = _BAR.match(text)
            kept = found[0] if found else ""
        self.rich_proxied_file.write(kept + visible_lines(text[len(kept) :]))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Writes several texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        """Delegates everything else to the stream."""
        return getattr(self.rich_proxied_file, name)


@contextmanager
def guarded() -> Iterator[None]:
    """Guards standard output and error within the block."""
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
    """The stream behind a guard, and behind rich's proxy while it draws."""
    while (inner := getattr(stream, "rich_proxied_file", None)) is not None:
        stream = inner
    return stream


def _needs_guard(stream: Any) -> bool:
    return stream is not None and not isinstance(stream, GuardedStream)


def _is_bar(module: Any) -> bool:
    return isinstance(module, str) and module.partition(".")[0] == "tqdm"
