"""The verifier of final numbers: "#### 42", or else the last number of the response."""

import re
from decimal import Decimal

from rpo_bench.data.row import Prompt
from rpo_bench.verifier import Verifier

_MARK = "####"
_DIGITS = r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,30})(?![0-9])(?:\.[0-9]{1,30})?|\.[0-9]{1,30}"
_NUMBER = re.compile(rf"(?<![0-9.])(?P<sign>[-−]?)(?P<unit>[$€£]?)\s?(?P<digits>{_DIGITS})")


@Verifier
def right_number(prompt: Prompt, response: str) -> bool | None:
    """Whether the response's final number is that of the prompt's worked solution.

    The final number is the one after the first "####", or, where none follows one, the last number of the
    response. A response without a number is wrong.
    """
    marked = final_number(response)
    return _agree(prompt, marked if marked is not None else last_number(response))


@Verifier
def strictly_right_number(prompt: Prompt, response: str) -> bool | None:
    """As ``right_number``, but without "#### 42" a response is wrong."""
    return _agree(prompt, final_number(response))


def final_number(text: str) -> Decimal | None:
    """The number right after the first "####"; None where there is none."""
    _, mark, rest = text.partition(_MARK)
    match = _NUMBER.match(rest.lstrip()) if mark else None
    return None if match is None else _value(match)


def last_number(text: str) -> Decimal | None:
    """The last number of a text; None where there is none."""
    found = list(_NUMBER.finditer(text))
    return _value(found[-1]) if found else None


def _agree(prompt: Prompt, number: Decimal | None) -> bool | None:
    """Equal as numbers: 42, 42.0 and $42 are; None where the worked solution has no "#### 42"."""
    right = final_number(str(prompt.metadata.get("answer", "")))
    return None if right is None else number == right


def _value(match: re.Match[str]) -> Decimal:
    value = Decimal(match["digits"].replace(",", ""))
    return -value if match["sign"] else value
