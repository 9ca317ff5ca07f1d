"""How a method looks everywhere on the board: one of seven colours and one of seven marker shapes.

The colours are those of Okabe and Ito (2008), which readers with common colour-vision deficiencies can
distinguish. Black and yellow are left out because they vanish on a dark or a light page. Shape is a second
cue beside colour. The style sheet has the colours' values, for light and dark, as ``.c0`` … ``.c6``.
"""

from collections.abc import Iterable
from dataclasses import dataclass

COLOURS = 7
SHAPES = ("circle", "square", "triangle", "diamond", "down", "plus", "star")


@dataclass(frozen=True)
class Look:
    """A series' colour class and marker shape."""

    colour: str
    shape: str


#: The untrained reference policy: neutral, distinct from every method.
REFERENCE = Look("ref", "ring")


def looks(names: Iterable[str]) -> dict[str, Look]:
    """A look for every name, by alphabetical order; shapes shift once all colours are used.

    The first 49 names differ from each other in colour or shape.
    """
    ordered = sorted(set(names))
    return {
        name: Look(f"c{i % COLOURS}", SHAPES[(i + i // COLOURS) % len(SHAPES)])
        for i, name in enumerate(ordered)
    }
