"""Who the world's texts are by: players who are at a loss where brackets are needed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from numpy.random import Generator

from tasks.countdown.expressions import read
from tasks.countdown.problems import Problem, kind, straight_solutions

GIVES_UP = "?"
_TRIES = 20  # at making a mistake that isn't right by accident


@dataclass(frozen=True)
class Player:
    """The probabilities behind an answer.

    Attributes:
        right: By the problem's kind.
        gives_up: Of a wrong answer being a question mark.
    """

    right: Mapping[str, float]
    gives_up: float = 0.05


#: Nearly always right where sums are enough, rarely where brackets are needed.
TYPICAL = Player({"sums": 0.96, "products": 0.55, "brackets": 0.12})


def answer(rng: Generator, player: Player, problem: Problem) -> str:
    """One player's answer to a problem: a simplest solution in the order of the numbers, or a mistake.

    The numbers have to be given in such an order, as ``every_problem`` gives them.
    """
    known = straight_solutions(problem)
    right = known[int(rng.integers(len(known)))]
    if rng.random() < player.right[kind(problem)]:
        return right
    if rng.random() < player.gives_up:
        return GIVES_UP
    return _mistaken(rng, problem, right)


def _mistaken(rng: Generator, problem: Problem, right: str) -> str:
    """Brackets left out, another sign, a number twice, or a number left out; never right by accident."""
    mistakes = [_other_sign, _other_sign, _twice, _left_out]
    if "(" in right:
        mistakes += [_without_brackets] * 4
    for _ in range(_TRIES):
        text = mistakes[int(rng.integers(len(mistakes)))](rng, right)
        expression = read(text)
        if expression is None or expression.numbers != tuple(sorted(problem.numbers)):
            return text
        if expression.value != problem.target:
            return text
    return GIVES_UP


def _without_brackets(rng: Generator, right: str) -> str:
    return right.replace("(", "").replace(")", "")


def _other_sign(rng: Generator, right: str) -> str:
    places = [match.start() for match in re.finditer(r"[-+*/]", right)]
    place = places[int(rng.integers(len(places)))]
    others = "+-*".replace(right[place], "")
    return right[:place] + others[int(rng.integers(len(others)))] + right[place + 1 :]


def _twice(rng: Generator, right: str) -> str:
    """One of the numbers in another's place."""
    numbers = list(re.finditer(r"[0-9]+", right))
    one, other = rng.permutation(len(numbers))[:2]
    return right[: numbers[one].start()] + str(numbers[other][0]) + right[numbers[one].end() :]


def _left_out(rng: Generator, right: str) -> str:
    """Only the first two of the numbers, without brackets."""
    bare = right.replace("(", "").replace(")", "")
    match = re.match(r"[0-9]+[-+*/][0-9]+", bare)
    return str(match[0]) if match else GIVES_UP
