"""Takes the README's picture of the board: ``python docs/images/make_board.py [PAGE]``.

PAGE is ``leaderboard/index.html`` unless another is named. It needs playwright and a Chromium on the PATH.
"""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[2]
PICTURE = Path(__file__).with_name("board.png")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SIZE = {"width": 1280, "height": 900}
MOST = 250_000  # bytes


def take(page: Path, picture: Path) -> int:
    """Writes the page's first screen as a PNG; returns its bytes."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise SystemExit(f"None of {', '.join(BROWSERS)} is on the PATH.")
    with sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
        tab = running.new_page(viewport=SIZE, color_scheme="light")
        tab.goto(page.resolve().as_uri())
        tab.screenshot(path=picture)
        running.close()
    return picture.stat().st_size


def main() -> None:
    """Takes the picture, and fails when it is too large for the repository."""
    page = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "leaderboard" / "index.html"
    if not page.is_file():
        raise SystemExit(f"{page}: there is no such page; `rpo-bench leaderboard` builds it.")
    size = take(page, PICTURE)
    sys.stdout.write(f"{PICTURE.name}: {size / 1000:.0f} kB\n")
    if size > MOST:
        raise SystemExit(f"The picture is larger than {MOST / 1000:.0f} kB.")


if __name__ == "__main__":
    main()
