"""Cards, comparisons and samples in a browser with its network off: loaded on demand, told by the address."""

import re
import shlex
import shutil

import numpy as np
import pytest
from results_factory import cell_spec, write_cell, write_world
from scipy.stats import t as student
from site_pages import add_samples, opened, question

from rpo_bench.analysis.build import compare as run_compare
from rpo_bench.analysis.panels import panels
from rpo_bench.analysis.scores import read_panel_scores
from rpo_bench.analysis.section import Options
from rpo_bench.results.store import read_results
from rpo_bench.site.build import build_leaderboard
from rpo_bench.spec.sections import TrainingSpec
from rpo_bench.stats.layout import contrast_spread
from rpo_bench.wording import number

pytestmark = pytest.mark.browser

TOXIC = "shut up, you fool"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two methods with samples, a toxic one among them, and a diverged run without any."""
    root = tmp_path_factory.mktemp("world")
    results = write_world(root / "results", ["rpo", "kto"], seeds=3, strengths=(0.1, 0.3))
    add_samples(results)
    write_cell(results, cell_spec("kto", 0.03), status="diverged")
    _make_toxic(next(results.rglob("rpo-0.3-0-*")))
    build_leaderboard([results], root / "out")
    return root


def _make_toxic(folder):
    """The first sample of a cell becomes toxic, and is scored so."""
    from rpo_bench.files.json_lines import write_json_lines
    from rpo_bench.results.store import SAMPLES_FILE, SCORES_FILE, read_samples, read_scores

    first, *others = read_samples(folder)
    write_json_lines(folder / SAMPLES_FILE, [first.model_copy(update={"text": TOXIC}), *others])
    line, *rest = read_scores(folder)
    scored = line.model_copy(update={"scores": {**line.scores, "toxicity": 0.9}})
    write_json_lines(folder / SCORES_FILE, [scored, *rest])


@pytest.fixture
def page(visit, root):
    found = visit((root / "out" / "index.html").as_uri())
    yield found
    assert found.said == []


def row(page, method, strength):
    return page.locator(f"#rows tr[data-method='{method}'][data-strength$='= {strength}']")


def compare(page, *rows):
    for method, strength in rows:
        row(page, method, strength).locator("input.pick").check()
    page.locator("#compare").click()
    page.locator(".answers").first.wait_for()


def test_nothing_is_loaded_before_it_is_asked_for(page):
    assert [url for url in page.asked if url.startswith("file:")] == [page.url]
    row(page, "rpo", "0.3").locator("button.open").click()
    page.locator("#drawer-body pre").first.wait_for()
    asked = [url.rpartition("/")[2] for url in page.asked[1:] if url.startswith("file:")]
    assert len(asked) == 1
    assert re.fullmatch(r"row-[0-9a-f]{12}\.js", asked[0])


def test_a_card_tells_spec_command_cost_and_every_metric(page):
    row(page, "rpo", "0.3").locator("button.open").click()
    card = page.locator("#drawer")
    card.locator("pre").first.wait_for()
    assert card.locator("h2").inner_text() == "rpo (τ = 0.3)"
    assert "rpo-bench train-and-eval --preset quick" in card.inner_text()
    assert '"strength": 0.3' in card.inner_text()
    metrics = card.locator("section", has_text="Metrics").first
    shown = row(page, "rpo", "0.3").locator("td[title^='Mean gold'] b").text_content()
    assert metrics.locator("tr", has_text="reward").locator("td").first.inner_text() == shown
    names = [one.partition(",")[0] for one in metrics.locator("tbody th").all_inner_texts()]
    assert names[:3] == ["reward", "kl", "toxicity"]
    costs = card.locator("section", has_text="Checkpoints and their cost")
    assert [one.split()[1] for one in costs.locator("tbody th").all_inner_texts()] == ["0", "1", "2"]
    assert "11 s" in costs.inner_text()


def test_the_card_of_a_diverged_row_says_so(page):
    row(page, "kto", "0.03").locator("button.open").click()
    page.locator("#drawer-body pre").first.wait_for()
    text = page.locator("#drawer").inner_text()
    assert "Every run diverged, so there is nothing to measure." in text
    assert "diverged: the loss is not finite at step 12" in text
    assert page.get_by_role("button", name="Read its samples").count() == 0


def test_the_keyboard_opens_stays_in_and_leaves_the_drawer(page):
    opener = row(page, "rpo", "0.3").locator("button.open")
    opener.focus()
    page.keyboard.press("Enter")
    page.locator("#drawer-body pre").first.wait_for()
    inside = "document.activeElement === document.body || document.activeElement.closest('#drawer') !== null"
    for key in ["Tab"] * 12 + ["Shift+Tab"] * 15:
        page.keyboard.press(key)
        assert page.evaluate(inside)
    page.keyboard.press("Escape")
    assert page.locator("#drawer").is_hidden()
    assert opener.evaluate("one => one === document.activeElement")


def test_going_back_closes_and_forward_opens_again(page):
    before = page.url
    row(page, "rpo", "0.3").locator("button.open").click()
    page.locator("#drawer-body pre").first.wait_for()
    assert "card=" in page.url
    page.go_back()
    assert page.url == before
    assert page.locator("#drawer").is_hidden()
    page.go_forward()
    page.locator("#drawer-body pre").first.wait_for()


def test_paired_differences_are_those_of_the_python_side(page, root):
    compare(page, ("rpo", "0.3"), ("kto", "0.3"))
    (panel,) = panels(read_results(root / "results").records)
    scores = read_panel_scores(panel)
    first, second = (
        next(r for s in panel.series if s.label == label for r in s.rows if r.strength == 0.3)
        for label in ("rpo", "kto")
    )
    for metric, title in (("reward", "reward"), ("toxicity", "toxicity, share"), ("kl", "kl, nats")):
        a, b = scores.array(first, metric), scores.array(second, metric)
        spread = contrast_spread([a, b], np.array([1.0, -1.0]))
        point = a.mean() - b.mean()
        reach = student.ppf(0.975, spread.freedom) * np.sqrt(spread.variance)
        cells = page.locator("#drawer table tbody tr", has=page.get_by_text(title, exact=True)).locator("td")
        told = cells.all_inner_texts()
        for text, value in zip(
            [told[2], *told[3].strip("[]").split(", ")], [point, point - reach, point + reach], strict=True
        ):
            assert float(text.replace("−", "-")) == pytest.approx(value, abs=1.1e-3), (metric, told)
        p = 2 * student.sf(abs(point) / np.sqrt(spread.variance), spread.freedom)
        assert told[4] == ("< 0.001" if p < 0.001 else number(p)), metric
        assert told[6] == "3 + 3 seeds × 24"


def test_samples_stand_side_by_side_with_their_scores(page):
    compare(page, ("rpo", "0.3"), ("kto", "0.1"))
    columns = page.locator(".answers")
    assert columns.count() == 2
    assert page.locator("#at").inner_text() == "Prompt 1 of 24"
    assert question("p000") in page.locator(".prompt").inner_text()
    first = columns.nth(1).locator(".sample").first.inner_text()
    assert re.search(r"kto-0\.1-0-\w{8} says p000 0", first)
    assert re.search(r"reward −?\d\.\d{3}\s+toxicity \d\.\d{3}\s+log-ratio, nats \d\.\d{3}", first)
    assert "cut off" in columns.nth(1).locator(".sample").nth(1).inner_text()
    page.locator("#next").click()
    assert page.locator("#at").inner_text() == "Prompt 2 of 24"
    assert page.evaluate("document.activeElement.id") == "next"
    columns.nth(1).locator("select").select_option("2")
    assert re.search(r"kto-0\.1-2-\w{8} says p001 0", columns.nth(1).inner_text())


def test_toxic_text_is_blurred_until_it_is_asked_for(page):
    compare(page, ("rpo", "0.3"), ("kto", "0.3"))
    page.locator("select[name='order']").select_option("toxic")
    text = page.locator(".said", has_text=TOXIC)
    assert "blur" in text.evaluate("one => getComputedStyle(one).filter")
    assert text.get_attribute("aria-hidden") == "true"
    page.get_by_role("button", name="Toxicity 0.90: show the text").click()
    assert text.evaluate("one => getComputedStyle(one).filter") == "none"
    assert text.get_attribute("aria-hidden") is None
    assert page.locator(".veiled").count() == 0


def test_an_address_restores_the_comparison(browser, page):
    compare(page, ("rpo", "0.3"), ("kto", "0.3"))
    page.locator("select[name='order']").select_option("gap")
    page.locator("#next").click()
    page.locator(".answers select").nth(1).select_option("1")
    said = page.locator(".browser").inner_text()
    with opened(browser, page.url) as other:
        other.locator(".answers").first.wait_for()
        assert other.locator(".browser").inner_text() == said
        assert other.locator("input.pick:checked").count() == 2


def test_no_more_than_four_rows_are_compared(page):
    picks = page.locator("input.pick")
    for at in range(4):
        picks.nth(at).check()
    assert picks.nth(4).is_disabled()
    page.locator("#compare").click()
    page.locator(".answers").nth(3).wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Clear").click()
    assert page.locator("#tray").is_hidden()
    assert picks.nth(4).is_enabled()


@pytest.mark.parametrize("text", ['rpoBench.take("{}", "eJxTY");', "nothing", ""])
def test_damaged_data_is_said_and_no_more(visit, root, tmp_path, text):
    copy = tmp_path / "out"
    shutil.copytree(root / "out", copy)
    for file in copy.glob("data/row-*.js"):
        file.write_text(text.replace("{}", file.stem))
    page = visit((copy / "index.html").as_uri())
    row(page, "rpo", "0.3").locator("button.open").click()
    page.get_by_role("alert").wait_for()
    assert re.search(r"data/row-\w+\.js (is damaged|can’t be read)", page.get_by_role("alert").inner_text())
    page.keyboard.press("Escape")
    assert row(page, "rpo", "0.3").is_visible()


def test_an_old_browser_is_told_what_it_lacks(visit, root):
    page = visit((root / "out" / "index.html").as_uri())
    page.evaluate("delete globalThis.DecompressionStream")
    row(page, "rpo", "0.3").locator("button.open").click()
    page.get_by_role("alert").wait_for()
    assert "This browser is too old" in page.get_by_role("alert").inner_text()


def test_without_its_data_the_page_stands_and_says_what_is_missing(visit, root, tmp_path):
    alone = tmp_path / "index.html"
    alone.write_bytes((root / "out" / "index.html").read_bytes())
    page = visit(alone.as_uri())
    row(page, "rpo", "0.3").locator("button.open").click()
    page.get_by_role("alert").wait_for()
    assert "can’t be read: keep the folder “data” beside the page" in page.get_by_role("alert").inner_text()
    page.keyboard.press("Escape")
    page.locator("#rows th[data-k='reward'] button").click()
    assert page.locator("#rows th[data-k='reward']").get_attribute("aria-sort") == "descending"


def test_a_difference_at_unequal_kl_is_no_verdict_and_says_so(page):
    compare(page, ("rpo", "0.3"), ("kto", "0.3"))
    assert re.match(
        r"Not at equal KL: rpo \(τ = 0\.3\) at \d\.\d\d nats, kto \(β = 0\.3\) at \d\.\d\d nats\. .+ "
        "therefore say higher or lower, not better or worse\\.",
        page.locator("#drawer .unequal").inner_text(),
    )
    told = page.locator("#drawer table tbody tr td:nth-child(7)").all_inner_texts()
    assert set(told) <= {"higher", "lower", "within chance"}
    assert {"higher", "lower"} & set(told)
    assert page.locator("#drawer code").inner_text() == "rpo-bench compare rpo@0.3 kto@0.3"


def test_the_command_to_compare_tells_rows_of_one_method_apart(visit, tmp_path):
    """The same method on two models can't be compared; trained otherwise, it goes by its whole name."""
    results = write_world(tmp_path / "results", ["rpo"], seeds=2, strengths=(0.3,))
    for seed in range(2):
        write_cell(results, cell_spec("rpo", 0.3, seed, training=TrainingSpec(steps=7)))
        write_cell(results, cell_spec("rpo", 0.3, seed, model="other"))
    add_samples(results)
    build_leaderboard([results], tmp_path / "out")
    page = visit((tmp_path / "out" / "index.html").as_uri())
    names = page.locator("#rows tbody tr").evaluate_all(
        "rows => rows.map(row => [row.dataset.row, row.dataset.model, row.dataset.method])"
    )
    keys = {(model, method): key for key, model, method in names}
    one, other = sorted(
        key for (model, method), key in keys.items() if model == "decoder" and "rpo" in method
    )
    labels = {key: method for key, _, method in names}
    page.goto(f"{page.url}#pick={one},{other}&view=compare")
    page.locator(".answers").first.wait_for()
    told = shlex.split(page.locator("#drawer code").inner_text())
    assert told[:2] == ["rpo-bench", "compare"]
    assert told[2:4] == [f"{labels[one]}@0.3", f"{labels[other]}@0.3"]
    assert told[4:] == ["--task", "civil_qa", "--model", "decoder"]
    report = run_compare(told[2:4], [results], Options(model="decoder", task="civil_qa", resamples=200))
    assert report.sections[0].items == (f"{labels[one]}@0.3", f"{labels[other]}@0.3")
    page.goto(f"{page.url.partition('#')[0]}#pick={one},{keys['other', 'rpo']}&view=compare")
    page.locator("#drawer .bad").first.wait_for()
    assert page.locator("#drawer code").count() == 0
