"""Pages opened in a browser whose network is off, and made-up worlds whose cells have samples."""

from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rpo_bench.files.json_lines import write_json_lines
from rpo_bench.results.samples import ScoreLine, StoredSample
from rpo_bench.results.store import SAMPLES_FILE, SCORES_FILE, read_scores


@contextmanager
def opened(browser: Any, address: str, **settings: Any):
    """A page, and what it said and asked for."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, "offline": True, **settings})
    page = context.new_page()
    page.said, page.asked = [], []
    page.on("console", lambda message: page.said.append(message.text))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.on("request", lambda request: page.asked.append(request.url))
    page.goto(address)
    try:
        yield page
    finally:
        context.close()


def question(prompt: str) -> str:
    """What a made-up prompt asks."""
    return f"What is {prompt}?"


def answer(folder: Path, line: ScoreLine) -> str:
    """What a made-up cell says to it."""
    return f"{folder.name} says {line.prompt_id} {line.sample}"


def add_samples(root: Path) -> None:
    """Gives every cell below a folder of results the samples that its scores are of."""
    for file in sorted(root.rglob(SCORES_FILE)):
        samples = [
            StoredSample(
                prompt_id=line.prompt_id,
                prompt=question(line.prompt_id),
                sample=line.sample,
                text=answer(file.parent, line),
                finished=line.sample == 0,
                token_ids=(),
            )
            for line in read_scores(file.parent)
        ]
        write_json_lines(file.parent / SAMPLES_FILE, samples)
