"""Lines of CSV that a spreadsheet takes for text and numbers, whatever others named things."""

import re
from collections.abc import Iterable

#: A spreadsheet takes a cell that begins so for a formula, some in the wide forms too; one of another country
#: divides cells at semicolons, or at tabs, within quotes that don't begin there as well.
_FORMULA = re.compile(r"""((?:^|[;\t\r\n])"*)(?=[=+\-@\t\r\n＝＋－＠])""")
_QUOTED = re.compile(r"""[",;\t\r\n]""")


def csv_line(cells: Iterable[object]) -> str:
    """Cells as one line with its end; None is empty, and what could be a formula has a ' before it."""
    return ",".join(map(_cell, cells)) + "\n"


def _cell(value: object) -> str:
    if not isinstance(value, str):
        return "" if value is None else str(value)
    text = _FORMULA.sub(r"\1'", value)
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text
