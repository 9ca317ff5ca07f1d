"""Arithmetic expressions as text: read by a parser of their grammar, never by Python's ``eval``.

sum     = product {("+" | "-") product}
product = atom {("*" | "/") atom}
atom    = digits | "(" sum ")"
"""

import re
from dataclasses import dataclass
from fractions import Fraction

_LONGEST = 80  # characters; bounds the depth of brackets
_TOKEN = re.compile(r"\s*([0-9]{1,6}|[-+*/()])")
_SAME = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-"})


@dataclass(frozen=True)
class Expression:
    """What an expression says.

    Attributes:
        value: Its exact value.
        numbers: The numbers in it, smallest first.
    """

    value: Fraction
    numbers: tuple[int, ...]


def read(text: str) -> Expression | None:
    """The expression that a text is; None when it can't be read as one, or divides by zero.

    The whole text has to be one expression of at most 80 characters: whole numbers of at most six digits,
    + − × ÷ (also written - * · /) and round brackets, with spaces anywhere between them. There are no signs
    (-3), no powers, no implied products (2(3)), and nothing beside the expression.
    """
    if len(text.strip()) > _LONGEST:
        return None
    tokens = _tokens(text.strip().translate(_SAME))
    if not tokens:
        return None
    parser = _Parser(tokens)
    try:
        value = parser.sum()
    except (_UnreadableError, ZeroDivisionError):
        return None
    return Expression(value, tuple(sorted(parser.numbers))) if parser.at_end else None


class _UnreadableError(Exception):
    """The tokens don't follow the grammar."""


def _tokens(text: str) -> list[str]:
    """The tokens; none when something else is among them."""
    found, position = [], 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            return []
        found.append(match[1])
        position = match.end()
    return found


class _Parser:
    """Recursive descent: a method for each rule of the grammar."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._next = 0
        self.numbers: list[int] = []

    @property
    def at_end(self) -> bool:
        return self._next == len(self._tokens)

    def sum(self) -> Fraction:
        value = self._product()
        while (sign := self._take("+-")) is not None:
            other = self._product()
            value = value + other if sign == "+" else value - other
        return value

    def _product(self) -> Fraction:
        value = self._atom()
        while (sign := self._take("*/")) is not None:
            other = self._atom()
            value = value * other if sign == "*" else value / other
        return value

    def _atom(self) -> Fraction:
        if self._take("(") is not None:
            value = self.sum()
            if self._take(")") is None:
                raise _UnreadableError
            return value
        if self.at_end or not self._tokens[self._next].isdigit():
            raise _UnreadableError
        number = int(self._tokens[self._next])
        self._next += 1
        self.numbers.append(number)
        return Fraction(number)

    def _take(self, wanted: str) -> str | None:
        """Takes the next token if it is one of ``wanted``."""
        if self.at_end or self._tokens[self._next] not in wanted:
            return None
        self._next += 1
        return self._tokens[self._next - 1]
