"""The terminal shows the page's verdict and rows, as wide as it allows, and takes nothing for markup."""

import io

import pytest
from results_factory import cell_spec, write_cell, write_world
from rich.console import Console

from rpo_bench.analysis.board import make_board
from rpo_bench.results.store import read_results
from rpo_bench.site.terminal import print_table


def printed(root, width):
    console = Console(file=io.StringIO(), width=width, highlight=False, color_system=None)
    print_table(make_board(read_results(root)), console)
    return console.file.getvalue()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_world(
        tmp_path_factory.mktemp("world") / "results", ["rpo", "rpo-released"], strengths=(0.1, 0.3)
    )


def test_verdict_and_rows_are_the_page_s(root):
    board = make_board(read_results(root))
    text = printed(root, 220)
    assert board.sections[0].verdict.text in text
    interval = board.rows[1].values["reward"].interval
    assert f"{interval.point:.3f} [{interval.low:.3f}, {interval.high:.3f}]".replace("-", "−") in text
    assert text.count("rpo-released") >= 2


@pytest.mark.parametrize("width", [60, 80, 100, 120, 160, 220])
def test_no_line_of_the_table_is_wider_than_the_terminal_or_broken(root, width):
    lines = printed(root, width).splitlines()
    rows = [line for line in lines if "τ = 0." in line]
    assert len(rows) == 4
    assert all(len(line) <= width for line in rows)
    assert all("…" not in line for line in rows)


def test_what_there_is_no_room_for_is_said(root):
    text = " ".join(printed(root, 60).split())
    assert "Too wide to show:" in text
    assert "Length" in text.partition("Too wide to show:")[2]
    assert "±" in text


def test_a_measure_that_nothing_has_is_said(root):
    assert "Missing: Regret; see rpo-bench score and rpo-bench oracle." in " ".join(
        printed(root, 220).split()
    )


def test_names_that_look_like_markup_are_printed_as_they_are(tmp_path):
    write_cell(tmp_path, cell_spec("reference", None))
    write_cell(tmp_path, cell_spec("[bold red]x[/]\x1b[31m", 0.3))
    text = printed(tmp_path, 220)
    assert "[bold red]x[/]⟨U+001B⟩[31m" in text
    assert "\x1b" not in text


def test_broken_records_are_named(tmp_path):
    write_world(tmp_path, ["rpo"], seeds=1, strengths=(0.3,))
    folder = write_cell(tmp_path, cell_spec("rpo", 0.3, 5))
    (folder / "result.json").write_text("{")
    text = printed(tmp_path, 400)
    assert f"Left out: {folder}: result.json is not JSON" in text
