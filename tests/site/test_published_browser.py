"""The published page, as it lies in the repository: every row's metrics, and downloads that are whole."""

import csv
import io
import json
from pathlib import Path

import pytest
from site_pages import opened

pytestmark = pytest.mark.browser

PUBLISHED = Path(__file__).parents[2] / "leaderboard"
DATA = json.loads((PUBLISHED / "data" / "rpo-bench.json").read_text())["rows"]
METRICS = sorted({name for row in DATA for name in row["values"]})


@pytest.fixture(scope="module")
def page(browser):
    with opened(browser, (PUBLISHED / "index.html").as_uri()) as found:
        yield found
        assert found.said == []


def saved(page, control):
    """A download's name and text; the page is still there."""
    before = page.url
    with page.expect_download() as waiting:
        control.click()
    assert page.url == before
    return waiting.value.suggested_filename, waiting.value.path().read_text()


def numbers(row, name):
    """A metric as the data have it: point, bounds, seeds and prompts."""
    value = row["values"].get(name)
    return (
        [None] * 5 if value is None else [value[key] for key in ("point", "low", "high", "seeds", "prompts")]
    )


def of_csv(line, name):
    texts = [line[f"{name}{part}"] for part in ("", "_low", "_high", "_seeds", "_prompts")]
    return [None if text == "" else float(text) for text in texts]


def test_there_is_a_row_for_every_row_of_the_data(page):
    keys = page.locator("#rows tbody tr").evaluate_all("rows => rows.map(row => row.dataset.row)")
    assert keys == [row["row"] for row in DATA]
    assert len(keys) > 90


def test_all_rows_as_csv_hold_every_metric_of_every_row(page):
    name, text = saved(page, page.locator("#csv"))
    lines = list(csv.DictReader(io.StringIO(text)))
    assert name == "rpo-bench.csv"
    assert [line["row"] for line in lines] == [row["row"] for row in DATA]
    for line, row in zip(lines, DATA, strict=True):
        for metric in METRICS:
            assert of_csv(line, metric) == numbers(row, metric), (row["row"], metric)


def test_all_rows_as_json_are_the_file_beside_the_page(page):
    name, text = saved(page, page.locator("#json"))
    assert name == "rpo-bench.json"
    assert text == (PUBLISHED / "data" / "rpo-bench.json").read_text()


def test_every_metric_of_every_row_is_in_the_table_and_in_what_is_shown(visit):
    address = (PUBLISHED / "index.html").as_uri() + f"#cols={','.join(METRICS)}"
    page = visit(address)
    shown = page.evaluate(
        """() => { const heads = [...document.querySelectorAll('#rows thead th')].map(h => h.dataset.k);
        return [...document.querySelectorAll('#rows tbody tr')].map(row => Object.fromEntries(
          [...row.cells].map((cell, i) => [heads[i], cell.dataset.v ?? '']))); }"""
    )
    for cells, row in zip(shown, DATA, strict=True):
        for metric in METRICS:
            point = numbers(row, metric)[0]
            told = cells[metric]
            assert (None if told == "" else float(told)) == point, (row["row"], metric)
    button = lambda kind: page.get_by_role("button", name=f"Download the shown rows as {kind}")  # noqa: E731
    lines = list(csv.DictReader(io.StringIO(saved(page, button("CSV"))[1])))
    rows = json.loads(saved(page, button("JSON"))[1])["rows"]
    latex = saved(page, button("LaTeX"))[1].split("\\midrule\n")[1].split("\\bottomrule")[0]
    assert len(lines) == len(rows) == len(latex.splitlines()) == len(DATA)
    for line, given, tex, row in zip(lines, rows, latex.splitlines(), DATA, strict=True):
        assert line["row"] == given["row"] == row["row"]
        for metric in METRICS:
            assert of_csv(line, metric) == numbers(row, metric), (row["row"], metric)
            value = given["values"][metric]
            assert (value is None) == (metric not in row["values"])
            assert value is None or list(value.values()) == numbers(row, metric)
        cells = tex.removesuffix("\\\\").split(" & ")[-len(METRICS) :]
        shown = [None if cell.strip() == "--" else float(cell.split("$")[1]) for cell in cells]
        assert shown == [
            None if of is None else pytest.approx(of, abs=6e-4)
            for of in (numbers(row, m)[0] for m in METRICS)
        ]
    assert page.said == []


def test_without_its_data_json_says_what_is_missing_and_the_page_stays(visit, tmp_path):
    alone = tmp_path / "index.html"
    alone.write_bytes((PUBLISHED / "index.html").read_bytes())
    page = visit(alone.as_uri())
    page.locator("#json").click()
    page.locator("#unsaved:not(:empty)").wait_for()
    assert "keep the folder “data” beside the page" in page.locator("#unsaved").inner_text()
    assert len(saved(page, page.locator("#csv"))[1].splitlines()) == len(DATA) + 1
    assert page.url == alone.as_uri()
