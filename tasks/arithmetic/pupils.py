"""Who the world's texts are by: pupils who forget to carry."""

from dataclasses import dataclass

from numpy.random import Generator

from tasks.arithmetic.sums import Sum, write

GIVES_UP = "?"


@dataclass(frozen=True)
class Pupil:
    """The probabilities behind an answer.

    Attributes:
        right: By which carries the sum has.
        slip: Of a wrong answer being one digit off; otherwise a carry is forgotten where there is one.
        gives_up: Of a wrong answer being a question mark.
    """

    right: dict[str, float]
    slip: float = 0.2
    gives_up: float = 0.05


#: Right in about half of all sums: nearly always without a carry, hardly ever with two.
TYPICAL = Pupil({"none": 0.97, "tens": 0.8, "ones": 0.25, "both": 0.05})


def answer(rng: Generator, pupil: Pupil, problem: Sum) -> str:
    """One pupil's answer to a sum."""
    if rng.random() < pupil.right[problem.carries]:
        return write(problem.value)
    draw = rng.random()
    if draw < pupil.gives_up:
        return GIVES_UP
    if draw < pupil.gives_up + pupil.slip or problem.carries == "none":
        return _slipped(rng, write(problem.value))
    return _without_carry(rng, problem)


def _slipped(rng: Generator, written: str) -> str:
    """One of the two lowest digits is one too high or too low."""
    place = int(rng.integers(2))
    digit = (int(written[place]) + int(rng.choice((1, 9)))) % 10
    return written[:place] + str(digit) + written[place + 1 :]


def _without_carry(rng: Generator, problem: Sum) -> str:
    """A carry is forgotten; of two either, or both."""
    forgets_ones, forgets_tens = {
        "ones": (True, False),
        "tens": (False, True),
        "both": ((True, False), (False, True), (True, True))[int(rng.integers(3))],
    }[problem.carries]
    value = problem.value - 10 * forgets_ones
    digits = write(value)
    return digits[:2] if forgets_tens else digits
