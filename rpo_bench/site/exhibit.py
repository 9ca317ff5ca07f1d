"""A plot of the evidence with its caption and its table of numbers."""

from dataclasses import dataclass

from markupsafe import Markup


@dataclass(frozen=True)
class Exhibit:
    """One plot, or a grid of small plots on the same scales.

    Attributes:
        title: Its heading.
        caption: What it shows, the sample sizes and the intervals.
        wide: For wide screens.
        narrow: For phones.
        grid: (method, plot) instead of the two.
        head: Headings of the table of numbers.
        rows: Its cells; the first of each names the row.
    """

    title: str
    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    wide: Markup | None = None
    narrow: Markup | None = None
    grid: tuple[tuple[str, Markup], ...] = ()
