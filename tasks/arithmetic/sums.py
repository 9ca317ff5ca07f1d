"""The sums: what they are, how they are asked, and how an answer is written and read."""

import re
from dataclasses import dataclass

from rpo_bench.data.row import Prompt

SMALLEST, LARGEST = 10, 99
MAX_NEW_TOKENS = 6  # as in task.yaml: three digits, the end, and room to go wrong
_ASKED = re.compile(r"([1-9][0-9])\+([1-9][0-9])=")
_ANSWER = re.compile(
    r"[0-9]{0,8}[1-9]|0"
)  # as it is written: the last digit leads the number, so it's no zero


@dataclass(frozen=True, order=True)
class Sum:
    """Two numbers of two digits, in the order in which they are asked."""

    first: int
    second: int

    @property
    def value(self) -> int:
        """The right answer."""
        return self.first + self.second

    @property
    def carry_ones(self) -> bool:
        """Whether the ones carry into the tens."""
        return self.first % 10 + self.second % 10 >= 10

    @property
    def carry_tens(self) -> bool:
        """Whether the tens carry into the hundreds."""
        return self.value >= 100

    @property
    def carries(self) -> str:
        """Which carries there are: none, ones, tens or both."""
        names = {(False, False): "none", (True, False): "ones", (False, True): "tens", (True, True): "both"}
        return names[self.carry_ones, self.carry_tens]


def ask(problem: Sum) -> Prompt:
    """The prompt of a sum: ``47+85=``."""
    text = f"{problem.first}+{problem.second}="
    return Prompt(prompt_id=text.removesuffix("="), text=text, metadata={"carries": problem.carries})


def asked(text: str) -> Sum | None:
    """The sum that a prompt asks for; None when it asks for none of this world."""
    match = _ASKED.fullmatch(text)
    return Sum(int(match[1]), int(match[2])) if match else None


def write(value: int) -> str:
    """A number as it is answered, ones first: 132 is ``231``."""
    return str(value)[::-1]


def read(response: str) -> int | None:
    """The number that a response gives; None when it can't be read as one.

    The whole response, without spaces and line breaks around it, has to be one to nine of the digits 0–9,
    written from the ones upwards without zeros in front of the number (which stand at the end here).
    """
    text = response.strip()
    return int(text[::-1]) if _ANSWER.fullmatch(text) else None
