"""The page: complete without JavaScript, needing nothing but itself, and safe whatever names it is given."""

import base64
import csv
import hashlib
import io
import json
import re
from html.parser import HTMLParser
from urllib.parse import unquote

import numpy as np
import pytest
from results_factory import PROMPTS, cell_spec, write_cell, write_world

from rpo_bench.analysis.board import make_board
from rpo_bench.results.store import read_results
from rpo_bench.site.build import build_leaderboard
from rpo_bench.site.downloads import json_text
from rpo_bench.site.page import page
from rpo_bench.spec.sections import Decoding, EvaluationSpec, MethodSpec
from rpo_bench.stats.oracle import estimate_oracle

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'&\u202e\u200b{{7*7}}"


class Reader(HTMLParser):
    """Collects elements, attributes and text."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.text = [], []
        self.feed(text)

    def handle_starttag(self, name, attributes):
        self.elements.append((name, dict(attributes)))

    def handle_data(self, data):
        self.text.append(data)

    def named(self, name):
        return [attributes for element, attributes in self.elements if element == name]


def oracle():
    rewards = np.random.default_rng(1).normal(-0.2, 0.7, (PROMPTS, 400))
    return {("civil_qa", "decoder"): estimate_oracle(rewards, tuple(f"p{i:03}" for i in range(PROMPTS)))}


def page_of(root, oracles=None):
    return page(make_board(read_results(root), oracles), [root])


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Two methods on two models, with a diverged run and a broken record."""
    root = tmp_path_factory.mktemp("world") / "results"
    write_world(root, ["rpo", "kto"], seeds=3)
    write_world(root, ["rpo"], seeds=3, model="encoder-decoder")
    write_cell(root, cell_spec("kto", 0.03, 0), status="diverged")
    broken = write_cell(root, cell_spec("rpo", 0.9))
    (broken / "result.json").write_text("{")
    return root


@pytest.fixture(scope="module")
def text(world):
    return page_of(world, oracle())


def test_the_same_results_give_the_same_bytes_wherever_they_lie(tmp_path, text):
    copy = tmp_path / "elsewhere"
    write_world(copy, ["rpo", "kto"], seeds=3)
    first, second = page_of(copy), page_of(copy)
    assert first == second
    other = tmp_path / "other"
    write_world(other, ["kto", "rpo"], seeds=3)
    assert page_of(other) == first
    assert str(tmp_path) not in first


def test_nothing_is_loaded_and_only_the_json_beside_it_linked(text):
    found = Reader(text)
    for name, attributes in found.elements:
        for attribute in ("src", "href", "action", "data", "poster", "srcset"):
            target = attributes.get(attribute)
            beside = target == "data/rpo-bench.json"
            assert target is None or beside or target.startswith(("#", "data:")), (name, target)
    assert "http:" not in text
    assert not re.search(r"url\(|@import|https:", text)


def test_the_policy_allows_the_page_s_own_style_and_script_alone(text):
    policy = next(m["content"] for m in Reader(text).named("meta") if "http-equiv" in m)
    assert policy.startswith("default-src 'none'; ")
    assert "'unsafe" not in policy
    for name in ("style", "script"):
        (inside,) = re.findall(rf"<{name}>(.*?)</{name}>", text, re.DOTALL)
        assert (
            f"{name}-src 'sha256-{base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()}'"
            in policy
        )
    assert not [name for name, attributes in Reader(text).elements if "style" in attributes]
    assert not [a for _, attributes in Reader(text).elements for a in attributes if a.startswith("on")]


def test_the_first_words_say_who_wins_on_what(text):
    words = re.sub(r"<[^>]+>", "", text.split("</section>")[0].split("<main>")[1])
    words = " ".join(words.split())
    assert re.match(
        r"civil_qa with decoder At 0\.\d+ nats of KL, rpo earns the most reward: −?0\.\d+ \[.+\] "
        r"\(0\.\d+ above the reference policy\), 0\.\d+ \[0.+\] more than kto, the next\.",
        words,
    )
    assert "2 methods; 7 strengths in all, 1–3 training seeds each; 19 checkpoints, 1 diverged." in words
    assert "24 held-out prompts × 2 samples, by ancestral sampling" in words


def test_every_number_of_the_table_has_its_interval_and_n(text):
    cells = re.findall(r'<td class="num" data-v="[^"]+" title="[^"]+">(.*?)</td>', text)
    numbers = [re.sub(r"<[^>]+>|&#8239;", "", cell) for cell in cells if "<b>" in cell]
    assert len(numbers) == (1 + 6) * 6 + (1 + 3) * 5
    for one in numbers:
        assert re.fullmatch(r"−?\d+\.\d+ (\[−?\d+\.\d+, −?\d+\.\d+\])? n=\d( × \d+)?", one), one


def test_there_is_a_row_for_every_method_and_strength_of_both_models(text):
    rows = [a for a in Reader(text).named("tr") if "data-method" in a and "data-model" in a]
    assert len(rows) == (1 + 3 + 4) + (1 + 3)
    assert {row["data-model"] for row in rows} == {"decoder", "encoder-decoder"}


def test_ranks_at_equal_kl_and_the_best_group_stand_in_every_row(text):
    """On the decoder rpo is shown to be ahead of kto, whose row of one seed has no rank; on the
    encoder-decoder it is alone."""
    rows = re.findall(r'<tr data-row="[^"]+".*?</tr>', text, re.DOTALL)
    ranks = {}
    for row in rows:
        name = tuple(re.search(rf'data-{what}="([^"]*)"', row)[1] for what in ("model", "method"))
        cell = re.search(r'data-v="\d+"><b>(\d.{0,4})</b> <span class="ci">of (\d+)(.*?)</td>', row)
        ranks.setdefault(name, set()).add(
            None if cell is None else (cell[1], int(cell[2]), "best group" in cell[3])
        )
    assert ranks == {
        ("decoder", "reference"): {None},
        ("decoder", "rpo"): {("1", 2, True)},
        ("decoder", "kto"): {("2", 2, False), None},
        ("encoder-decoder", "reference"): {None},
        ("encoder-decoder", "rpo"): {("1", 1, True)},
    }


def test_every_column_is_explained_without_pointing_at_it(text):
    heads = re.findall(r'data-k="[a-z_0-9]+"(?: data-name="[^"]+")? class="num" title="([^"]+)"', text)
    assert len(heads) == 8
    told = text.split("About the columns")[1].split("</details>")[0].replace("\u202f", " ")
    assert [one for one in heads if one not in told] == []


def test_what_was_left_out_is_named_with_its_reason(text):
    footer = text.split("<footer>")[1]
    assert re.search(r"<code>civil_qa/decoder/rpo-0\.9-0-\w{8}</code>: result\.json is not JSON", footer)
    assert "30 checkpoints read, 1 of them diverged; 1 left out (1 damaged)." in footer
    assert "schema version 1" in footer


def test_pictures_are_described_for_those_who_do_not_see_them(text):
    pictures = [a for a in Reader(text).named("svg") if a.get("role") == "img"]
    assert len(pictures) > 8
    ids = [a["id"] for _, a in Reader(text).elements if "id" in a]
    assert len(ids) == len(set(ids))
    for one in pictures:
        assert set(one["aria-labelledby"].split()) <= set(ids)
    assert "<title>oracle" not in text
    assert "oracle π*" in text


def test_the_table_is_one_that_screen_readers_know(text):
    found = Reader(text)
    assert len(found.named("caption")) >= 1
    assert all(a.get("scope") in ("col", "row") for a in found.named("th"))
    assert {"lang": "en"} in found.named("html")


def test_without_an_oracle_the_page_says_why(world):
    assert "No oracle is drawn: the task has changed since the results were made." in page_of(world)


@pytest.mark.parametrize("where", ["method", "model", "task", "backend", "command"])
def test_hostile_text_is_shown_as_text(tmp_path, where):
    plain = page_of(write_world(tmp_path / "plain", ["rpo", "kto"], seeds=1, strengths=(0.3,)))
    root = tmp_path / "results"
    changes = {where: HOSTILE} if where in ("model", "task") else {}
    write_world(root, ["rpo", "kto"], seeds=1, strengths=(0.3,), **changes)
    hostile = cell_spec(HOSTILE if where == "method" else "sft", 0.3, 0, **changes)
    record = {"command": HOSTILE} if where == "command" else {}
    write_cell(root, hostile, **record)
    if where == "backend":
        for file in root.glob("*/*/*/result.json"):
            file.write_text(file.read_text().replace('"made up 1"', json.dumps(HOSTILE)))
    text = page_of(root)
    assert len(Reader(text).named("script")) == len(Reader(plain).named("script")) == 1
    assert Reader(text).named("img") == []
    assert "\u202e" not in text
    assert "\u200b" not in text
    assert "⟨U+202E⟩" in text
    assert "{{7*7}}" in "".join(Reader(text).text) + json.dumps(Reader(text).elements, ensure_ascii=False)


def test_a_lone_surrogate_in_a_folder_s_name_does_not_break_the_page(tmp_path):
    write_world(tmp_path / "results", ["rpo"], seeds=1, strengths=(0.3,))
    odd = tmp_path / "results" / "civil_qa" / "odd\udcff"
    odd.mkdir()
    (odd / "result.json").write_text("{}")
    build_leaderboard([tmp_path / "results"], tmp_path / "out")
    assert "odd⟨U+DCFF⟩" in (tmp_path / "out" / "index.html").read_text()


def test_options_are_part_of_the_name(tmp_path):
    spec = cell_spec().model_copy(
        update={"method": MethodSpec(name="rpo", options={"partition": "leave_one_out"})}
    )
    write_cell(tmp_path, spec)
    write_cell(tmp_path, cell_spec("reference", None))
    assert "rpo(partition=leave_one_out)" in page_of(tmp_path)


def csv_of(text):
    (href,) = (a["href"] for a in Reader(text).named("a") if a.get("download") == "rpo-bench.csv")
    return unquote(href.partition(",")[2])


def test_the_csv_holds_every_row_and_number(text):
    rows = list(csv.DictReader(io.StringIO(csv_of(text))))
    assert len(rows) == 12
    one = next(
        row for row in rows if (row["method"], row["strength"], row["model"]) == ("rpo", "0.3", "decoder")
    )
    assert float(one["reward_low"]) < float(one["reward"]) < float(one["reward_high"])
    assert (one["reward_seeds"], one["reward_prompts"], one["badge"]) == ("3", "24", "preliminary")


def test_the_json_tells_how_each_interval_was_made(world):
    rows = json.loads(json_text(make_board(read_results(world), oracle())))["rows"]
    reward = next(row for row in rows if row["method"] == "rpo")["values"]["reward"]
    assert reward["method"] == "two-level bootstrap"
    assert reward["levels"] == ["training seeds", "prompts", "generation"]


def test_a_name_that_a_spreadsheet_would_run_is_defused(tmp_path):
    write_cell(tmp_path, cell_spec("=cmd|' /C calc'!A0", 0.3))
    write_cell(tmp_path, cell_spec("reference", None))
    rows = list(csv.DictReader(io.StringIO(csv_of(page_of(tmp_path)))))
    assert rows[1]["method"].startswith("'=")


def test_a_checkpoint_that_several_strengths_gave_is_one_row_and_said_so(tmp_path):
    write_world(tmp_path, ["rpo"], seeds=1, strengths=(0.3,))
    for strength in (4.0, 8.0, 16.0):
        weights = {"weights": ("8" if strength > 4 else "4") * 64}
        write_cell(tmp_path, cell_spec("sft", strength), hashes=weights)
    text = page_of(tmp_path)
    rows = [a for a in Reader(text).named("tr") if a.get("data-method") == "sft" and "data-row" in a]
    assert [row["data-strength"] for row in rows] == ["τ = 4", "τ = 8"]
    assert "sft: the checkpoints of τ = 16 are identical to those of τ = 8 and share its row." in text


def test_another_decoding_is_told(tmp_path):
    evaluation = EvaluationSpec(n_samples=2, decoding=Decoding(temperature=0.7, top_k=50))
    write_world(tmp_path, ["rpo"], seeds=1, strengths=(0.3,), evaluation=evaluation)
    assert "sampled with temperature 0.7, top_k 50." in page_of(tmp_path)


def test_a_page_of_the_reference_alone_or_of_diverged_runs_alone_stands(tmp_path):
    write_cell(tmp_path, cell_spec("reference", None))
    assert "only the untrained reference policy was measured" in page_of(tmp_path)
    write_cell(tmp_path, cell_spec(), status="diverged")
    assert "no checkpoint has a KL and a reward" in page_of(tmp_path)
