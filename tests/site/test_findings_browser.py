"""Every link from the findings to rows of the published page shows them, and knows all that it asks for."""

import re
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from site_pages import opened

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]
LINKS = re.findall(r"\(\.\./leaderboard/index\.html#([^)]+)\)", (ROOT / "docs" / "findings.md").read_text())


def test_the_findings_link_to_their_rows():
    assert len(LINKS) >= 9


#: To another fragment of the page, whose listener restores its state before this one resolves.
GO = """link => new Promise(done => {
    addEventListener("hashchange", done, { once: true });
    location.hash = link; }).then(() => null)"""


@pytest.fixture(scope="module")
def page(browser):
    """The published page, loaded once: each link changes its fragment alone, as from another link of it."""
    with opened(browser, (ROOT / "leaderboard" / "index.html").as_uri()) as found:
        yield found


@pytest.mark.parametrize("link", sorted(set(LINKS)))
def test_a_link_shows_its_rows(page, link):
    asked = parse_qs(link)
    page.evaluate(GO, link)
    rows = page.locator("#rows tbody tr:visible").evaluate_all("all => all.map(one => ({...one.dataset}))")
    assert rows
    assert {row["model"] for row in rows} <= set(asked.get("model", ["decoder", "encoder-decoder"]))
    hidden = page.locator("#filters input[name='method']:not(:checked)").evaluate_all(
        "all => all.map(one => one.value)"
    )
    assert sorted(hidden) == sorted(asked.get("hide", []))
    assert not {row["method"] for row in rows} & set(hidden)
    if "sort" in asked:
        assert page.locator("#rows th[aria-sort]").get_attribute("data-k") == asked["sort"][0]
    if "cols" in asked:
        heads = page.locator("#rows thead th:visible").evaluate_all("all => all.map(one => one.dataset.k)")
        assert set(heads) == {"method", *asked["cols"][0].split(",")}
    assert page.said == []
