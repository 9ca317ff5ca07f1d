"""A real Chromium for the page's tests, or a skip that says what is missing."""

import shutil

import pytest
from site_pages import opened

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser():
    """Chromium, or a skip that says what is missing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no chromium, chromium-browser or google-chrome on the PATH")
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield found
        found.close()


@pytest.fixture(scope="module")
def _tab(browser):
    with opened(browser, "about:blank") as page:
        yield page


@pytest.fixture
def visit(_tab):
    """Loads an address anew in the module's one tab: half the cost of a tab, whose process must start first.

    What a test needs of its own (no JavaScript, a second page beside the first) it opens by itself.
    """

    def load(address: str, width: int = 1280, **media: str):
        _tab.goto("about:blank")
        _tab.set_viewport_size({"width": width, "height": 900})
        _tab.emulate_media(
            **{"media": "screen", "color_scheme": "light", "reduced_motion": "no-preference", **media}
        )
        _tab.said.clear()
        _tab.asked.clear()
        _tab.goto(address)
        return _tab

    return load
