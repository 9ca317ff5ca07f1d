"""The page in a real browser: from a file, with and without JavaScript, sorted, filtered, hostile."""

import pytest
from results_factory import PROMPTS, cell_spec, write_cell, write_world
from site_pages import opened

pytestmark = pytest.mark.browser

HOSTILE = (
    "</script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">\u202e"
)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The page of three methods, one of them hostile, on two models, with a diverged run."""
    import numpy as np

    from rpo_bench.site.build import build_leaderboard
    from rpo_bench.stats.oracle import estimate_oracle

    root = tmp_path_factory.mktemp("world")
    write_world(root / "results", ["rpo", "kto"], seeds=3)
    write_world(root / "results", ["rpo"], seeds=2, model="encoder-decoder")
    write_cell(root / "results", cell_spec(HOSTILE, 0.3))
    write_cell(root / "results", cell_spec("kto", 0.03), status="diverged")
    rewards = np.random.default_rng(1).normal(-0.2, 0.7, (PROMPTS, 400))
    oracle = estimate_oracle(rewards, tuple(f"p{i:03}" for i in range(PROMPTS)))
    build_leaderboard([root / "results"], root / "out", oracles={("civil_qa", "decoder"): oracle})
    return (root / "out" / "index.html").as_uri()


def methods(page):
    """Method and strength of the rows that are shown, in their order."""
    script = """() => [...document.querySelectorAll('#rows tbody tr')].filter(row => row.offsetParent)
        .map(row => row.dataset.model + ' ' + row.dataset.method + ' ' + row.cells[2].textContent.trim())"""
    return page.evaluate(script)


def column(page, name):
    """The shown numbers of a column, None for empty cells."""
    script = """(name) => {
        const heads = [...document.querySelectorAll('#rows thead th')];
        const at = heads.findIndex(head => head.dataset.k === name);
        const rows = [...document.querySelectorAll('#rows tbody tr')].filter(row => row.offsetParent);
        return rows.map(row => row.cells[at].dataset.v).map(v => v === undefined ? null : Number(v)); }"""
    return page.evaluate(script, name)


def test_it_opens_from_a_file_without_errors_or_requests(visit, address):
    page = visit(address)
    assert page.said == []
    assert [url for url in page.asked if not url.startswith(("file:", "data:"))] == []
    assert (
        page.evaluate(
            "performance.getEntriesByType('resource').filter(r => !r.name.startsWith('data:')).length"
        )
        == 0
    )
    assert page.title() == "RPO-Bench: civil_qa with decoder, civil_qa with encoder-decoder"


@pytest.mark.parametrize("width", [360, 768, 1280, 2560, 3840])
def test_nothing_sticks_out_at_any_width(visit, address, width):
    page = visit(address, width=width)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    narrow = page.locator("figure.frontier .narrow svg").first
    assert narrow.is_visible() == (width < 600)


def test_a_picture_s_name_stands_beside_its_mark(visit, address):
    page = visit(address)
    for caption in page.locator("figcaption.top:has(.key)").all():
        mark, name = caption.locator(".key").bounding_box(), caption.locator(".ink").bounding_box()
        if mark and name:
            assert 0 <= name["x"] - mark["x"] - mark["width"] < 12


def test_text_contrasts_with_the_page_in_both_schemes(visit, address):
    """WCAG AA: at least 4.5 for text, and 3 for marks."""
    script = """() => {
        const parse = c => c.match(/[\\d.]+/g).slice(0, 3).map(Number);
        const linear = v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
        const light = c => parse(c).map(linear).reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
        const ratio = (a, b) => {
            const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
            return (x + .05) / (y + .05); };
        const page = getComputedStyle(document.body).backgroundColor;
        const probe = document.createElement('i');
        document.body.append(probe);
        const of = name => { probe.className = name; return ratio(getComputedStyle(probe).color, page); };
        const marks = [...'0123456'].map(i => of('c' + i));
        return { ink: of('ink'), soft: of('hint'), bad: of('bad'), marks }; }"""
    for scheme in ("light", "dark"):
        page = visit(address, color_scheme=scheme)
        found = page.evaluate(script)
        assert min(found["ink"], found["soft"], found["bad"]) >= 4.5, (scheme, found)
        assert min(found["marks"]) >= 3, (scheme, found)


def test_without_javascript_table_and_pictures_are_there(browser, address):
    with opened(browser, address, java_script_enabled=False) as page:
        assert page.locator("#rows tbody tr").count() == (1 + 3 + 4 + 1) + (1 + 3)
        assert page.locator("#rows tbody tr").first.is_visible()
        assert page.locator("figure.frontier .wide svg path.oracle").first.is_visible()
        assert page.locator("#filters").is_hidden()
        assert page.locator("#rows thead button").count() == 0
        assert "nats of KL" in page.locator(".sentence").first.inner_text()


def test_a_column_is_sorted_by_its_head_and_empty_cells_stay_last(visit, address):
    page = visit(address)
    before = methods(page)
    head = page.locator("#rows th[data-k='reward'] button")
    for order, reverse in (("descending", True), ("ascending", False)):
        head.click()
        values = column(page, "reward")
        numbers = [value for value in values if value is not None]
        assert numbers == sorted(numbers, reverse=reverse)
        assert values[-1] is None
        assert page.locator("#rows th[data-k='reward']").get_attribute("aria-sort") == order
        assert page.locator("#rows th[aria-sort]").count() == 1
    head.click()
    assert methods(page) == before
    assert page.locator("#rows th[aria-sort]").count() == 0


def test_what_is_better_when_low_is_sorted_upwards_first(visit, address):
    page = visit(address)
    page.locator("#rows th[data-k='toxicity'] button").click()
    assert page.locator("#rows th[data-k='toxicity']").get_attribute("aria-sort") == "ascending"


def test_the_keyboard_sorts_and_filters(visit, address):
    page = visit(address)
    page.locator("#rows th[data-k='kl'] button").focus()
    page.keyboard.press("Enter")
    assert page.locator("#rows th[data-k='kl']").get_attribute("aria-sort") == "ascending"
    page.locator("#filters input[value='kto']").focus()
    page.keyboard.press("Space")
    assert not any("kto" in row for row in methods(page))


def test_filters_hide_rows_and_lines_and_say_how_many_are_left(visit, address):
    page = visit(address)
    page.locator("#filters select[name='model']").select_option("decoder")
    assert len(methods(page)) == 9
    page.locator("#filters label", has_text="kto").click()
    assert not any("kto" in row for row in methods(page))
    assert page.locator("#shown").inner_text() == "5 of 13 rows"
    assert page.locator("figure.frontier g[data-method='kto']").first.is_hidden()
    assert page.locator("figure.frontier .wide g[data-method='rpo']").first.is_visible()
    page.locator("#reset").click()
    assert len(methods(page)) == 13


def test_pointing_at_a_method_in_a_picture_sets_it_apart(visit, address):
    page = visit(address)
    picture = page.locator("figure.frontier .wide svg").first
    line = picture.locator("g.series[data-method='rpo']")
    other = picture.locator("g.series[data-method='kto']")
    line.locator(".mark").first.hover()
    page.wait_for_function("one => getComputedStyle(one).opacity < 0.2", arg=other.element_handle())
    assert line.evaluate("one => getComputedStyle(one).opacity") == "1"
    page.mouse.move(1, 1)
    page.wait_for_function("one => getComputedStyle(one).opacity === '1'", arg=other.element_handle())


def test_the_address_keeps_the_state(visit, address):
    page = visit(address)
    page.locator("#rows th[data-k='reward'] button").click()
    page.locator("#filters select[name='model']").select_option("encoder-decoder")
    page.locator("#filters label", has_text="kto").click()
    state, rows = page.url, methods(page)
    assert "#" in state
    page = visit(state)
    assert methods(page) == rows
    assert page.locator("#rows th[data-k='reward']").get_attribute("aria-sort") == "descending"
    assert not page.locator("#filters input[value='kto']").is_checked()
    page.evaluate("location.hash = ''")
    page.wait_for_function("document.querySelector('#shown').textContent === '13 rows'")


def test_steps_within_the_page_leave_what_is_shown_alone(visit, address):
    page = visit(f"{address}#hide=kto&sort=reward&dir=down", reduced_motion="reduce")
    url, shown = page.url, methods(page)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "table"
    for link in page.locator("nav a").all():
        link.click()
        target = link.get_attribute("href")[1:]
        assert page.evaluate("document.activeElement.id") == target
        place = page.locator(f"#{target}").bounding_box()
        assert 0 <= place["y"] <= page.viewport_size["height"] - place["height"]
    assert (page.url, methods(page)) == (url, shown)
    assert page.locator("nav a").all_inner_texts() == [
        "Table",
        "Plots: decoder",
        "Plots: encoder-decoder",
        "How to read this",
    ]


def test_an_address_of_nonsense_shows_everything(visit, address):
    page = visit(f"{address}#sort=<img>&hide=nobody&model=__proto__&dir=%")
    assert len(methods(page)) == 13
    assert page.said == []


def test_hostile_names_are_text(visit, address):
    page = visit(address)
    assert page.title().startswith("RPO-Bench")
    assert page.locator("script").count() == 1
    assert page.locator("img").count() == 0
    name = page.locator("#rows tr[data-method*='taken'] th").first
    assert name.inner_text().strip() == HOSTILE.replace("\u202e", "⟨U+202E⟩")
    box = page.locator("#filters input[value*='taken']")
    box.uncheck(force=True)
    assert len(methods(page)) == 12


def test_injected_scripts_would_not_run(visit, address):
    page = visit(address)
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"document.title=1\">')")
    page.wait_for_timeout(100)
    assert page.title().startswith("RPO-Bench")


def test_the_table_downloads_without_javascript(browser, address):
    with opened(browser, address, java_script_enabled=False, accept_downloads=True) as page:
        with page.expect_download() as waiting:
            page.locator("a[download='rpo-bench.csv']").click()
        assert waiting.value.suggested_filename == "rpo-bench.csv"
        lines = waiting.value.path().read_text().splitlines()
        assert lines[0].startswith("task,model,architecture,method,strength")
        assert len(lines) == 14


def test_it_prints_on_paper_without_controls(visit, address):
    page = visit(address)
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 1032, "height": 700})  # A4 across, less its margins
    assert page.evaluate("document.documentElement.scrollWidth") <= 1032
    assert page.locator("#filters").is_hidden()
    assert page.locator("#rows").is_visible()
    assert page.pdf().startswith(b"%PDF")
