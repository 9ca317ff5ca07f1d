"""Columns, filters, history and downloads of what is shown, in a real browser with its network off."""

import csv
import json

import pytest
from results_factory import write_world
from site_pages import opened

from rpo_bench.site.build import build_leaderboard

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    root = tmp_path_factory.mktemp("world")
    write_world(root / "results", ["rpo", "kto"], seeds=2, strengths=(0.1, 0.3))
    write_world(root / "results", ["rpo"], seeds=2, strengths=(0.3,), model="encoder-decoder")
    build_leaderboard([root / "results"], root / "out")
    return (root / "out" / "index.html").as_uri()


@pytest.fixture
def page(visit, address):
    found = visit(address)
    yield found
    assert found.said == []


def shown(page):
    return page.locator("#rows tbody tr:visible").count()


def saved(page, name):
    with page.expect_download() as waiting:
        page.get_by_role("button", name=f"Download the shown rows as {name}").click()
    return waiting.value.suggested_filename, waiting.value.path().read_text()


def test_text_and_strength_filter(page):
    assert shown(page) == 7
    page.locator("input[name='find']").fill("RPO 0.3")
    assert shown(page) == 2
    page.locator("select[name='strength']").select_option("β = 0.3")
    assert shown(page) == 0
    assert page.locator("#shown").inner_text() == "0 of 7 rows"
    page.locator("input[name='find']").fill("")
    assert shown(page) == 1


def test_columns_are_chosen_sorted_by_and_restored(browser, page):
    page.locator("#columns summary").click()
    page.locator("#columns input[value='toxicity']").uncheck()
    page.locator("#columns input[value='seeds']").uncheck()
    assert page.locator("#rows th[data-k='toxicity']").is_hidden()
    assert (
        page.locator("#rows tbody tr").first.locator("td:visible").count()
        == page.locator("#rows thead th:visible").count() - 1
    )
    page.locator("#rows th[data-k='reward'] button").click()
    with opened(browser, page.url) as other:
        assert other.locator("#rows th[data-k='toxicity']").is_hidden()
        assert other.locator("#rows th[data-k='reward']").get_attribute("aria-sort") == "descending"


def test_back_and_forward_step_through_what_was_shown(page):
    page.locator("select[name='model']").select_option("decoder")
    page.locator("#filters label", has_text="kto").click()
    assert shown(page) == 3
    page.go_back()
    assert shown(page) == 5
    page.go_back()
    assert shown(page) == 7
    page.go_forward()
    assert page.locator("select[name='model']").input_value() == "decoder"


def test_what_is_shown_is_saved_in_its_order(page):
    page.locator("select[name='model']").select_option("decoder")
    page.locator("#rows th[data-k='reward'] button").click()
    methods = page.locator("#rows tbody tr:visible").evaluate_all(
        "rows => rows.map(row => row.dataset.method)"
    )
    name, text = saved(page, "CSV")
    lines = list(csv.DictReader(text.splitlines()))
    assert name == "rpo-bench-shown.csv"
    assert [line["method"] for line in lines] == methods
    rewards = [float(line["reward"]) for line in lines]
    assert rewards == sorted(rewards, reverse=True)
    assert all(
        float(line["reward_low"]) < float(line["reward"]) < float(line["reward_high"]) for line in lines
    )
    name, text = saved(page, "JSON")
    rows = json.loads(text)["rows"]
    assert name == "rpo-bench-shown.json"
    assert [row["values"]["reward"]["point"] for row in rows] == rewards
    assert {row["architecture"] for row in rows} == {"decoder"}


def test_latex_has_a_line_per_row_and_escapes(page):
    page.locator("select[name='model']").select_option("decoder")
    name, text = saved(page, "LaTeX")
    assert name == "rpo-bench-shown.tex"
    body = text.split("\\midrule\n")[1].split("\\bottomrule")[0].splitlines()
    assert len(body) == 5
    assert all(line.endswith("\\\\") for line in body)
    assert len({line.count(" & ") for line in body}) == 1
    assert "$\\beta$ = 0.1" in text
    assert "τ" not in text


def test_the_json_of_all_rows_lies_beside_the_page(page):
    assert page.locator("a[download='rpo-bench.json']").get_attribute("href") == "data/rpo-bench.json"
