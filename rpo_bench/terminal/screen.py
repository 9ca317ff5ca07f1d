"""The console of all our output to users: only our own styles apply, text can't control the terminal."""

import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from rpo_bench.terminal.guard import unguarded
from rpo_bench.terminal.visible import visible_lines

#: Width of output that must not be cut, where the width is unknown.
UNBOUNDED = 10_000


class SafeConsole(Console):
    """A console that never interprets text as markup, emoji names, links or terminal control.

    It spells out invisible and reordering characters: in strings before layout, and in everything else
    before it is written.
    """

    def __init__(self, *, stderr: bool = False, file: Any = None, **settings: Any) -> None:
        stream = unguarded(file if file is not None else sys.stderr if stderr else sys.stdout)
        settings = {"markup": False, "emoji": False, "highlight": False, **settings}
        super().__init__(file=stream, stderr=stderr, **settings)

    def render_str(self, text: str, **settings: Any) -> Text:
        """A string as text, with such characters spelled out."""
        return super().render_str(visible_lines(text), **settings)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Rendered segments, spelled out; the console's own control codes pass."""
        drawn = self._spelt(renderable) if isinstance(renderable, Text) else renderable
        for segment in super().render(drawn, options):
            text = segment.text if segment.control else visible_lines(segment.text)
            yield segment if text == segment.text else Segment(text, segment.style)

    def _spelt(self, text: Text) -> Text:
        """Spells out a text before layout, so that nothing is cut at the end of a line."""
        if visible_lines(text.plain) == text.plain:
            return text
        found = text.blank_copy()
        for segment in text.render(self):
            found.append(visible_lines(segment.text), segment.style)
        return found


def out() -> SafeConsole:
    """Standard output, for results; plain and unwrapped when it is not a terminal."""
    return _console(stderr=False)


def err() -> SafeConsole:
    """Standard error, for progress and messages."""
    return _console(stderr=True)


def _console(stderr: bool) -> SafeConsole:
    console = SafeConsole(stderr=stderr)
    if not console.is_terminal:
        console = SafeConsole(stderr=stderr, width=UNBOUNDED, soft_wrap=True)
    return console
