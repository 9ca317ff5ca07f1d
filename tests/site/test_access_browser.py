"""What axe-core finds on the page and in its drawer, light and dark, wide and narrow: nothing but trifles."""

from itertools import pairwise
from pathlib import Path

import pytest
from results_factory import write_world
from site_pages import add_samples

from rpo_bench.site.build import build_leaderboard

pytestmark = pytest.mark.browser

# A line of the table is one place, however high its cells.
WHERE = """() => {
    const one = document.activeElement;
    return (one.closest('tr') ?? one).getBoundingClientRect().top + scrollY; }"""
RUN = "what => axe.run(what, {resultTypes: ['violations']})"


@pytest.fixture(scope="module")
def axe():
    package = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    return (Path(package.__file__).parent / "axe.min.js").read_text()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    root = tmp_path_factory.mktemp("world")
    write_world(root / "results", ["rpo", "kto"], seeds=5, strengths=(0.3,))
    write_world(root / "results", ["rpo", "kto"], seeds=2, strengths=(0.3,), model="encoder-decoder")
    add_samples(root / "results")
    build_leaderboard([root / "results"], root / "out")
    return (root / "out" / "index.html").as_uri()


def problems(page, where):
    found = page.evaluate(RUN, where)["violations"]
    return [
        (one["id"], one["nodes"][0]["html"], one["nodes"][0]["failureSummary"])
        for one in found
        if one["impact"] != "minor"
    ]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_nobody_is_shut_out(visit, address, axe, scheme, width):
    """No rule of the style is for a scheme and a width at once: each is seen in one of two."""
    page = visit(address, color_scheme=scheme, width=width)
    page.evaluate(axe)
    page.locator("#columns summary").click()
    for at in (1, 2):
        page.locator("input.pick").nth(at).check()
    assert problems(page, "body") == []
    page.locator("#compare").click()
    page.locator(".answers").first.wait_for()
    assert problems(page, "#drawer") == []
    page.keyboard.press("Escape")
    page.locator("button.open").first.click()
    page.locator("#drawer-body pre").first.wait_for()
    assert problems(page, "#drawer") == []


def test_headings_go_down_one_step_at_a_time(visit, address):
    page = visit(address)
    levels = page.locator("main :is(h1, h2, h3, h4), header h1").evaluate_all(
        "all => all.map(one => Number(one.tagName[1]))"
    )
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_tab_goes_through_controls_and_table_in_reading_order(visit, address):
    page = visit(address)
    places = []
    for _ in range(25):
        page.keyboard.press("Tab")
        places.append(page.evaluate(WHERE))
    rows = [round(place / 60) for place in places[1:]]
    assert rows == sorted(rows)
