"""The problems: what they are, how they are asked, and all their solutions."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import combinations, permutations, product

from rpo_bench.data.row import Prompt

SMALLEST, LARGEST = 2, 20
TARGETS = range(1, 100)
MAX_NEW_TOKENS = 12  # as in task.yaml: the longest solution takes eight and the end
KINDS = ("sums", "products", "brackets")
_ASKED = re.compile(r"\[([0-9]{1,2}),([0-9]{1,2}),([0-9]{1,2})\]=([0-9]{1,2})")
_LOOSE, _TIGHT, _ATOM = 1, 2, 3  # how strongly an expression holds together


@dataclass(frozen=True, order=True)
class Problem:
    """Three different numbers, in the order in which they are given, and the number to reach."""

    numbers: tuple[int, int, int]
    target: int


def ask(problem: Problem) -> Prompt:
    """The prompt of a problem: ``[3,7,4]=33``."""
    text = f"[{','.join(map(str, problem.numbers))}]={problem.target}"
    return Prompt(prompt_id=text, text=text, metadata={"kind": kind(problem)})


def asked(text: str) -> Problem | None:
    """The problem that a prompt poses; None when it poses none of this world."""
    match = _ASKED.fullmatch(text)
    if match is None:
        return None
    first, second, third, target = map(int, match.groups())
    return Problem((first, second, third), target)


def solutions(problem: Problem) -> tuple[str, ...]:
    """Every solution whose intermediate results are whole and positive, shortest brackets, larger first."""
    return _solved(tuple(sorted(problem.numbers))).get(problem.target, ())


def kind(problem: Problem) -> str:
    """What its simplest solution takes: sums alone, a product or quotient, or brackets around one."""
    found = [kind_of(text) for text in solutions(problem)]
    return min(found, key=KINDS.index) if found else "none"


def kind_of(text: str) -> str:
    """What one solution takes."""
    if "(" in text:
        return "brackets"
    return "products" if "*" in text or "/" in text else "sums"


def every_problem() -> Iterator[Problem]:
    """All problems that have a solution, their numbers in the order in which a simplest one uses them."""
    for numbers in combinations(range(SMALLEST, LARGEST + 1), 3):
        for target in sorted(_solved(numbers)):
            if target in TARGETS:
                first, second, third = _used(_simplest(Problem(numbers, target))[0])
                yield Problem((first, second, third), target)


def straight_solutions(problem: Problem) -> tuple[str, ...]:
    """The simplest solutions that use the numbers in the order in which they are given."""
    return tuple(text for text in _simplest(problem) if tuple(_used(text)) == problem.numbers)


def _simplest(problem: Problem) -> list[str]:
    """The solutions of the problem's kind."""
    wanted = kind(problem)
    return [text for text in solutions(problem) if kind_of(text) == wanted]


def _used(text: str) -> list[int]:
    """The numbers of an expression, from left to right."""
    return [int(digits) for digits in re.findall("[0-9]+", text)]


@dataclass(frozen=True)
class _Part:
    """An expression: its value, its text, and how strongly that holds together."""

    value: int
    text: str
    strength: int = _ATOM

    def within(self, strength: int) -> str:
        """Its text as an operand of something that holds together so strongly."""
        return self.text if self.strength >= strength else f"({self.text})"


@cache
def _solved(numbers: tuple[int, ...]) -> Mapping[int, tuple[str, ...]]:
    """Value → the expressions that have it, of three numbers."""
    found: dict[int, set[str]] = {}
    for first, second, third in permutations([_Part(n, str(n)) for n in numbers]):
        for inner, outer in product("+-*/", repeat=2):
            pair = _joined(first, inner, second)
            for left, right in ((pair, third), (third, pair)):
                whole = None if left is None or right is None else _joined(left, outer, right)
                if whole is not None:
                    found.setdefault(whole.value, set()).add(whole.text)
    return {value: tuple(sorted(texts)) for value, texts in found.items()}


def _joined(left: _Part, sign: str, right: _Part) -> _Part | None:
    """Two expressions as one; None unless the result is whole and positive, and the larger comes first."""
    a, b = left.value, right.value
    if a < b or (sign == "-" and a == b) or (sign == "/" and a % b):
        return None
    if sign in "+-":
        return _Part(
            a + b if sign == "+" else a - b,
            f"{left.within(_LOOSE)}{sign}{right.within(_LOOSE if sign == '+' else _TIGHT)}",
            _LOOSE,
        )
    return _Part(
        a * b if sign == "*" else a // b,
        f"{left.within(_TIGHT)}{sign}{right.within(_TIGHT if sign == '*' else _ATOM)}",
        _TIGHT,
    )
