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


DATA = "all => all.map(one => ({...one.dataset}))"


@pytest.mark.parametrize("link", sorted(set(LINKS)))
def test_a_link_shows_its_rows(browser, link):
    asked = parse_qs(link)
    with opened(browser, f"{(ROOT / 'leaderboard' / 'index.html').as_uri()}#{link}") as page:
        rows = page.locator("#rows tbody tr:visible").evaluate_all(
            "all => all.map(one => ({...one.dataset}))"
        )
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
            heads = page.locator("#rows thead th:visible").evaluate_all(
                "all => all.map(one => one.dataset.k)"
            )
            assert set(heads) == {"method", *asked["cols"][0].split(",")}
        assert page.said == []
