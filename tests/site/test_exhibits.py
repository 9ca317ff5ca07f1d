"""The evidence on the page: what compare says, drawn; proxies with their peaks; nothing made up."""

import itertools
import re

import pytest
from results_factory import PROMPTS, cell_spec, write_cell, write_world
from worlds import write_scored

from rpo_bench.analysis.board import make_board
from rpo_bench.analysis.build import compare
from rpo_bench.analysis.section import Options
from rpo_bench.results.store import read_results
from rpo_bench.site.exhibits import exhibits
from rpo_bench.site.page import page
from rpo_bench.site.palette import looks
from rpo_bench.spec.sections import TrainingSpec


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return write_world(tmp_path_factory.mktemp("world"), ["sft", "rpo", "kto"], seeds=4)


def board_of(root):
    return make_board(read_results(root))


def shown(root):
    (section,) = board_of(root).sections
    return {one.title: one for one in exhibits(section, looks(s.label for s in section.panel.trained), "x")}


def test_the_forest_tells_what_compare_tells(world):
    (section,) = board_of(world).sections
    report = compare([str(world)], [], Options())
    expected = [one for one in report.sections[0].comparisons if one.primary]
    assert list(section.evidence.declared.comparisons) == expected
    assert {(one.first, one.second) for one in expected} == {("kto", "sft"), ("rpo", "sft"), ("rpo", "kto")}


def test_the_forest_has_a_row_and_numbers_for_every_comparison(world):
    forest = shown(world)["Paired differences at equal KL"]
    assert [row[0] for row in forest.rows] == ["kto − sft", "rpo − sft", "rpo − kto"]
    assert forest.wide.count('class="series') == 3
    assert "Holm over these 3 comparisons" in forest.caption
    assert f"{PROMPTS} shared prompts" in forest.caption
    assert "n = 4" in forest.caption


def test_who_beats_whom_has_every_pair_and_both_views(world):
    matrix = shown(world)["Probability of improvement"]
    assert len(matrix.rows) == 3
    assert matrix.wide.count("<rect") == 6
    assert matrix.rows[0] == ("rpo over kto", "100 %", "", "4 × 4")


def test_a_single_run_has_no_matrix(tmp_path):
    write_world(tmp_path, ["sft", "rpo"], seeds=1)
    assert "Probability of improvement" not in shown(tmp_path)


def test_without_two_methods_there_is_nothing_to_compare(tmp_path):
    write_world(tmp_path, ["rpo"], seeds=2)
    assert shown(tmp_path) == {}


def test_without_a_reward_there_is_no_evidence(tmp_path):
    for method, strength in (("reference", None), ("a", 0.3), ("b", 0.3)):
        write_scored(tmp_path, cell_spec(method, strength), {"kl": [0.0 if strength is None else 1.0] * 4})
    assert shown(tmp_path) == {}


@pytest.fixture
def proxied(tmp_path):
    """KL 0.25, 1, 4: the proxy gains √KL, gold d(2 − d), which peaks at 1 nat."""
    shift = [-0.1, 0.1, -0.1, 0.1]

    def write(spec, kl, proxy, gold):
        scores = {"kl": [kl] * 4, "proxy_reward": [proxy] * 4, "reward": [gold + s for s in shift]}
        write_scored(tmp_path, spec, scores)

    write(cell_spec("reference", None), 0.0, 0.0, 0.0)
    for seed in (0, 1, 2):
        for strength, d in ((1.0, 0.5), (0.3, 1.0), (0.1, 2.0)):
            write(cell_spec("rpo", strength, seed), d * d, d, d * (2 - d) + 0.01 * seed)
    return tmp_path


def test_the_peak_of_gold_is_located_and_told(proxied):
    exhibit = shown(proxied)["Proxy against gold reward"]
    ((method, picture),) = exhibit.grid
    assert method == "rpo"
    assert exhibit.rows[0][:3] == ("rpo", "3", "4.00")
    assert re.match(r"1\.0\d \[", exhibit.rows[0][3])
    assert picture.count('class="rule"') == picture.count('class="band"') == 1
    assert "gold peak: 1.0" in picture


def test_every_picture_has_a_title_and_a_description_and_a_table(world, proxied):
    for root in (world, proxied):
        html = page(board_of(root), [root])
        svgs = re.findall(r"<svg[^>]*role=.*?</svg>", html, re.DOTALL)
        assert all("<title" in svg and "<desc" in svg for svg in svgs)
        names = re.findall(r'<svg[^>]*aria-labelledby="([^"]*)"', html)
        assert len(names) == len(set(names))
        assert html.count('<details class="numbers">') == len(shown(root))


def test_a_foreign_name_is_text(tmp_path):
    hostile = "</text><script>alert(1)</script>\u202e"
    write_world(tmp_path, ["sft", "rpo"], seeds=2, strengths=(0.3,))
    for seed in (0, 1):
        write_cell(tmp_path, cell_spec(hostile, 0.3, seed))
    for exhibit in shown(tmp_path).values():
        drawn = f"{exhibit.wide}{exhibit.narrow}"
        assert "<script" not in drawn
        assert "\u202e" not in drawn


def test_the_same_results_give_the_same_bytes(world):
    assert page(board_of(world), [world]) == page(board_of(world), [world])


@pytest.fixture
def stepped(tmp_path):
    """RPO gains 0.5·√KL after 60 steps and 0.8·√KL after 600; KTO was trained with 600 alone."""
    shift = [-0.1, 0.1, -0.1, 0.1]

    def write(spec, kl, gain):
        write_scored(tmp_path, spec, {"kl": [kl] * 4, "reward": [gain + s for s in shift]})

    write(cell_spec("reference", None), 0.0, 0.0)
    for method, steps, slope in (("rpo", 60, 0.5), ("rpo", 600, 0.8), ("kto", 600, 0.6)):
        for seed, (strength, kl) in itertools.product((0, 1), ((1.0, 0.25), (0.3, 1.0), (0.1, 2.25))):
            spec = cell_spec(method, strength, seed, training=TrainingSpec(steps=steps))
            write(spec, kl, slope * kl**0.5 + 0.01 * seed)
    return tmp_path


def test_what_more_steps_buy_is_told_of_methods_with_several(stepped):
    exhibit = shown(stepped)["Gain from more steps"]
    assert "at 2.2 nats" in exhibit.caption
    assert [(row[0], row[1], row[5]) for row in exhibit.rows] == [
        ("rpo [steps=60]", "60", "yes"),
        ("rpo [steps=600]", "600", "yes"),
    ]
    few, many = (float(row[3]) for row in exhibit.rows)
    assert few == pytest.approx(0.5 * 2.2**0.5, abs=0.02)
    assert many == pytest.approx(0.8 * 2.2**0.5, abs=0.02)
    assert exhibit.wide.count('class="series') == exhibit.narrow.count('class="series') == 1


def test_one_number_of_steps_needs_no_such_exhibit(world):
    assert "Gain from more steps" not in shown(world)


def tuned(best_of, configurations=24, cap=0.75):
    return {"tuned": {"file": "f", "configurations": configurations, "best_of": best_of, "cap": cap}}


def test_how_much_tuning_a_method_needs_is_drawn_from_its_records(tmp_path):
    write_cell(tmp_path, cell_spec("reference", None))
    for seed, (method, areas) in itertools.product((0, 1), (("rpo", [0.1, 0.3, 0.4]), ("kto", [0.3, 0.31]))):
        write_cell(tmp_path, cell_spec(method, 0.3, seed), extra=tuned(areas))
    write_cell(tmp_path, cell_spec("dro", 0.3))
    exhibit = shown(tmp_path)["How much tuning each method needs"]
    assert exhibit.rows == (
        ("kto", "24", "0.300", "0.310", "0.010"),
        ("rpo", "24", "0.100", "0.400", "0.300"),
    )
    assert "up to 0.75 nats" in exhibit.caption
    assert exhibit.wide.count('class="series') == 2


@pytest.mark.parametrize(
    "best_of", [None, "x", [], ["1"], [float("nan")], [True, 1], [0.1] * 1000, {"0": 1}, [None, 0.1]]
)
def test_curves_that_are_none_are_left_out(tmp_path, best_of):
    write_cell(tmp_path, cell_spec("reference", None))
    write_cell(tmp_path, cell_spec("rpo", 0.3), extra=tuned(best_of))
    assert "How much tuning each method needs" not in shown(tmp_path)
