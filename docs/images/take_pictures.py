"""Takes the README's pictures of pages.

    python docs/images/take_pictures.py [--board PAGE] [--frontier PAGE]

``board.png`` is the first screen of the published page, ``frontier.png`` the first frontier of a run's page.
It needs playwright and a Chromium on the PATH.
"""

import argparse
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

FOLDER = Path(__file__).resolve().parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SIZE = {"width": 1280, "height": 900}
MOST = 250_000  # bytes
FRONTIER = 'svg[aria-labelledby^="s0-fw-"]'


def take(page: Path, picture: Path, what: Callable[[Any], Any]) -> None:
    """Writes what is shown of a page as a PNG; fails when it is too large for the repository."""
    if not page.is_file():
        raise SystemExit(f"{page}: there is no such page; `rpo-bench leaderboard` builds it.")
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise SystemExit(f"None of {', '.join(BROWSERS)} is on the PATH.")
    with sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
        tab = running.new_page(viewport=SIZE, color_scheme="light")
        tab.goto(page.resolve().as_uri())
        what(tab).screenshot(path=picture)
        running.close()
    size = picture.stat().st_size
    sys.stdout.write(f"{picture.name}: {size / 1000:.0f} kB\n")
    if size > MOST:
        raise SystemExit(f"{picture} is larger than {MOST:,} bytes.")


def main() -> None:
    """Takes the pictures whose pages are named."""
    flags = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    flags.add_argument("--board", type=Path, help="the published page")
    flags.add_argument("--frontier", type=Path, help="the page of a run")
    named = flags.parse_args()
    if named.board is not None:
        take(named.board, FOLDER / "board.png", lambda tab: tab)
    if named.frontier is not None:
        take(named.frontier, FOLDER / "frontier.png", lambda tab: tab.locator(FRONTIER).first)


if __name__ == "__main__":
    main()
