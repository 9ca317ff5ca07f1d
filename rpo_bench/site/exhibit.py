"""A picture of the evidence with what belongs to it: a sentence that says what it shows, and its numbers."""

from dataclasses import dataclass

from markupsafe import Markup


@dataclass(frozen=True)
class Exhibit:
    """One picture, or a grid of small ones on the same scales.

    Attributes:
        title: Its heading.
        caption: What it shows, of how many, with which intervals.
        wide: For screens with room.
        narrow: For a phone.
        grid: (method, picture) instead of the two.
        head: The heads of the table of numbers.
        rows: Its cells; the first of each is a row's name.
    """

    title: str
    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    wide: Markup | None = None
    narrow: Markup | None = None
    grid: tuple[tuple[str, Markup], ...] = ()
