"""Tables: aligned plain text where nobody watches, drawn where somebody does."""

import os
import pty
import re
import subprocess
import sys
import textwrap

from rpo_bench.cli.console import print_facts, print_table

ROWS = [("rpo", 1234, 0.123456, "r − V̂"), ("a longer name", 7, -2.0, "")]


def test_plain_tables_align_numbers_right_and_text_left(capsys):
    print_table("Title", ("name", "n", "value", "note"), ROWS)
    assert capsys.readouterr().out.splitlines() == [
        "Title",
        "name               n   value  note",
        "rpo            1,234  0.1235  r − V̂",
        "a longer name      7      -2",
    ]


def test_plain_tables_are_neither_cut_nor_wrapped(capsys):
    print_table("", ("text", "end"), [("x" * 500, "here")])
    assert capsys.readouterr().out.splitlines()[1] == f"{'x' * 500}  here"


def test_brackets_are_text(capsys):
    print_facts({"range": "[0, 1]", "flag": "[bold]"})
    assert capsys.readouterr().out == "range  [0, 1]\nflag   [bold]\n"


def test_a_table_without_rows_is_its_header(capsys):
    print_table("", ("name", "n"), [])
    assert capsys.readouterr().out == "name  n\n"


def test_on_a_terminal_a_table_is_folded_to_its_width_and_loses_no_letter():
    """A real pseudo-terminal of 40 columns."""
    code = """
        from rpo_bench.cli.console import print_table
        print_table("Title", ("name", "text"), [("first", "abcdefghij" * 8)])
    """
    master, slave = pty.openpty()
    environment = {**os.environ, "COLUMNS": "40", "TERM": "xterm", "NO_COLOR": "1"}
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=slave, env=environment, check=True, timeout=60
    )
    os.close(slave)
    shown = os.read(master, 100_000).decode()
    os.close(master)
    lines = re.sub(r"\x1b\[[\d;]*m", "", shown).splitlines()
    assert "─" in shown, "drawn, not plain"
    assert max(map(len, lines)) <= 40
    body = "".join(lines[3:]).replace("first", "")
    assert "".join(body.split()) == "abcdefghij" * 8
