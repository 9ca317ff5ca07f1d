"""CSV lines that are safe in spreadsheets: no cell is taken for a formula."""

import re
from collections.abc import Iterable

#: A spreadsheet takes a cell with such a start for a formula, some also in full-width forms. Other locales
#: split cells at semicolons or tabs, also within quotes that don't begin there.
_FORMULA = re.compile(r"""((?:^|[;\t\r\n])"*)(?=[=+\-@\t\r\n＝＋－＠])""")
_QUOTED = re.compile(r"""[",;\t\r\n]""")


def csv_line(cells: Iterable[object]) -> str:
    """Cells as one line with its end; None is empty, and a possible formula gets a leading '."""
    return ",".join(map(_cell, cells)) + "\n"


def _cell(value: object) -> str:
    if not isinstance(value, str):
        return "" if value is None else str(value)
    text = _FORMULA.sub(r"\1'", value)
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text
