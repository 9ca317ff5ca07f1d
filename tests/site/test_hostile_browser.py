"""Other people's text in names, prompts and samples: shown as text, nothing runs, the layout holds."""

import gzip
import json

import pytest
from results_factory import SAMPLES, cell_spec, write_cell, write_world
from site_pages import add_samples

from rpo_bench.results.store import SAMPLES_FILE
from rpo_bench.site.build import build_leaderboard

pytestmark = pytest.mark.browser

TAKE = "document.title='taken'"
TEXTS = {
    "script": f"</script><script>{TAKE}</script>",
    "handler": f'"><img src=x onerror="{TAKE}"><svg onload={TAKE}>',
    "override": "safe \u202egnp.exe\u202c \u2066x\u2069",
    "line": "one\u2028two\u0000three\x1b[31m",
    "call": f"`); rpoBench.take('x', 1); {TAKE}; (`${{1}}",
    "template": "{{ 7 * 7 }}{% raw %}",
    "long": "W" * 2**20,
    "words": "long words " * 2**16,
}
NAME = f'</script><img src=x onerror="{TAKE}">\u202e\'' + "n" * 60


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A world with a hostile method, model and command, whose samples and prompts are each of the texts."""
    root = tmp_path_factory.mktemp("world")
    results = root / "results"
    write_world(results, ["rpo"], seeds=1, strengths=(0.3,))
    changes = {"command": f"rpo-bench {TEXTS['handler']}"}
    write_cell(results, cell_spec(NAME, 0.3), **changes)
    write_cell(results, cell_spec("kto", 0.3, model=NAME))
    add_samples(results)
    for file in results.rglob(SAMPLES_FILE):
        _make_hostile(file)
    build_leaderboard([results], root / "out")
    return (root / "out" / "index.html").as_uri()


def _make_hostile(file):
    """The samples of every prompt become one of the texts, and so does what was asked."""
    texts = [*TEXTS.values()]
    lines = [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
    for i, line in enumerate(lines):
        line["text"] = line["prompt"] = texts[(i // SAMPLES) % len(texts)]
    file.write_bytes(gzip.compress("\n".join(map(json.dumps, lines)).encode()))


def nothing_ran(page):
    assert page.title().startswith("RPO-Bench")
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 1
    assert page.said == []
    assert all(url.startswith(("file:", "data:", "blob:")) for url in page.asked)


def fits(page):
    width = page.viewport_size["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.getElementById('drawer').scrollWidth") <= width


@pytest.mark.parametrize("width", [360, 1280])
def test_hostile_samples_and_prompts_are_text(visit, address, width):
    page = visit(address, width=width)
    fits(page)
    for at in range(3):
        page.locator("input.pick").nth(at).check()
    page.locator("#compare").click()
    page.locator(".answers").first.wait_for()
    page.wait_for_function("document.querySelector('#at') !== null")
    seen = []
    for _ in range(len(TEXTS)):
        fits(page)
        seen.append(page.locator(".prompt .said").inner_text())
        asked = page.locator(".prompt .said").text_content()
        assert page.locator(".sample .said").first.text_content() == asked
        page.locator("#next").click()
    nothing_ran(page)
    assert seen[0] == TEXTS["script"]
    assert seen[1] == TEXTS["handler"]
    assert seen[2] == "safe ⟨U+202E⟩gnp.exe⟨U+202C⟩ ⟨U+2066⟩x⟨U+2069⟩"
    assert seen[3] == "one⟨U+2028⟩two⟨U+0000⟩three⟨U+001B⟩[31m"
    assert seen[4] == TEXTS["call"]
    assert seen[5] == TEXTS["template"]
    assert len(seen[6]) == 2001


def test_a_megabyte_is_shown_to_its_bound_when_it_is_asked_for(visit, address):
    page = visit(address)
    page.locator("input.pick").first.check()
    page.locator("#compare").click()
    page.locator(".answers").first.wait_for()
    for _ in range(6):
        page.locator("#next").click()
    assert page.locator(".prompt .said").text_content() == "W" * 2000 + "…"
    page.locator(".prompt").get_by_role("button", name="Show all 20,").click()
    told = f"… ({2**20 - 20_000:,} more characters in samples.jsonl.gz)"
    assert page.locator(".prompt .said").text_content() == "W" * 20_000 + told
    fits(page)


@pytest.mark.parametrize("width", [360, 1280])
def test_hostile_names_and_commands_are_text_in_the_drawer(visit, address, width):
    page = visit(address, width=width)
    page.locator("#rows tr[data-method*='onerror'] button.open").click()
    page.locator("#drawer-body pre").first.wait_for()
    assert "⟨U+202E⟩" in page.locator("#drawer h2").inner_text()
    assert TEXTS["handler"] in page.locator("#drawer pre").first.inner_text()
    fits(page)
    nothing_ran(page)


def test_a_hostile_address_is_only_text(visit, address):
    evil = "%22%3E%3Cimg%20src%3Dx%20onerror%3D%22document.title%3D1%22%3E"
    fragments = [
        f"find={evil}",
        f"pick={evil},__proto__&view=compare",
        f"card={evil}",
        f"cols={evil}&sort=__proto__",
    ]
    for fragment in [*fragments, "seeds=constructor:1,__proto__:2&prompt=%00&order=__proto__&pick=,,,"]:
        page = visit(f"{address}#{fragment}")
        nothing_ran(page)
        assert page.locator("#drawer").is_hidden()
        assert page.locator("#rows tbody tr").count() == 4


def test_a_name_of_nearly_a_megabyte_leaves_page_and_layout_whole(visit, tmp_path):
    results = write_world(tmp_path / "results", ["rpo"], seeds=1, strengths=(0.3,))
    folder = write_cell(results, cell_spec("sft", 0.3))
    text = (folder / "result.json").read_text()
    spec = cell_spec("sft", 0.3, model="n" * 900_000)
    record = json.loads(text)
    record["spec"], record["cell"] = spec.model_dump(mode="json"), spec.hash
    (folder / "result.json").write_text(json.dumps(record))
    build_leaderboard([results], tmp_path / "out")
    page_file = tmp_path / "out" / "index.html"
    assert page_file.stat().st_size < 2_000_000
    for width in (360, 1280):
        page = visit(page_file.as_uri(), width=width)
        fits(page)
        assert page.said == []
        assert page.locator("#rows tbody tr").count() == 3
