"""From folders to a page: written whole, checked on demand, refused in one sentence."""

import json
import re
import zlib
from base64 import b64decode, b64encode

import pytest
from results_factory import cell_spec, write_cell, write_world

from rpo_bench.errors import UserError
from rpo_bench.site.build import build_leaderboard, check_leaderboard


@pytest.fixture
def root(tmp_path):
    return write_world(tmp_path / "results", ["rpo", "kto"], seeds=2, strengths=(0.3,))


def test_the_page_and_its_data_are_written_and_the_board_returned(root, tmp_path):
    board = build_leaderboard([root], tmp_path / "out")
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["data", "index.html"]
    assert len(board.rows) == 3


def test_check_passes_on_a_page_of_these_results_and_writes_nothing(root, tmp_path):
    build_leaderboard([root], tmp_path / "out")
    before = (tmp_path / "out" / "index.html").stat().st_mtime_ns
    check_leaderboard([root], tmp_path / "out")
    assert (tmp_path / "out" / "index.html").stat().st_mtime_ns == before


def test_check_fails_when_the_results_have_gone_on(root, tmp_path):
    build_leaderboard([root], tmp_path / "out")
    write_cell(root, cell_spec("rpo", 0.3, 7))
    with pytest.raises(UserError, match="is out of date: rebuild it without --check"):
        check_leaderboard([root], tmp_path / "out")


def _data_file(root, out):
    build_leaderboard([root], out)
    return next(file for file in sorted((out / "data").glob("row-*.js")))


def test_check_passes_on_data_that_another_zlib_packed(root, tmp_path):
    file = _data_file(root, tmp_path / "out")
    name, packed = re.fullmatch(r'rpoBench\.take\("(.*)","(.*)"\);\n', file.read_text()).groups()
    plain = zlib.decompress(b64decode(packed))
    assert json.loads(plain)["task"] == "civil_qa"
    file.write_text(f'rpoBench.take("{name}","{b64encode(zlib.compress(plain, 1)).decode()}");\n')
    check_leaderboard([root], tmp_path / "out")


@pytest.mark.parametrize("damage", [lambda text: text[:-30], lambda text: text.replace("take", "took")])
def test_check_fails_on_damaged_data(root, tmp_path, damage):
    file = _data_file(root, tmp_path / "out")
    file.write_text(damage(file.read_text()))
    with pytest.raises(UserError, match=rf"{file.name} doesn't match these results: rebuild the page"):
        check_leaderboard([root], tmp_path / "out")


def test_check_fails_on_data_of_no_row(root, tmp_path):
    file = _data_file(root, tmp_path / "out")
    file.with_name("row-0123.js").write_text(file.read_text())
    with pytest.raises(UserError, match=r"row-0123\.js doesn't match these results"):
        check_leaderboard([root], tmp_path / "out")


def test_the_same_results_give_the_same_files(root, tmp_path):
    for out in ("one", "two"):
        build_leaderboard([root], tmp_path / out)
    found = [
        {file.relative_to(tmp_path / out): file.read_bytes() for file in (tmp_path / out).rglob("*.*")}
        for out in ("one", "two")
    ]
    one, two = ({path.relative_to(path.parts[0]): text for path, text in of.items()} for of in found)
    assert one == two
    assert len(one) == 1 + 2 + 1 + 3


def test_check_fails_without_a_page(root, tmp_path):
    with pytest.raises(UserError, match="doesn't exist: build the page without --check"):
        check_leaderboard([root], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_check_fails_on_a_broken_record(root, tmp_path):
    build_leaderboard([root], tmp_path / "out")
    (write_cell(root, cell_spec("rpo", 0.3, 7)) / "result.json").write_text("{")
    with pytest.raises(UserError, match=r"can't be used: result\.json is not JSON"):
        check_leaderboard([root], tmp_path / "out")


def test_nothing_to_show_is_an_error(tmp_path):
    (tmp_path / "results").mkdir()
    with pytest.raises(UserError, match="there are no results here; `rpo-bench train-and-eval` creates them"):
        build_leaderboard([tmp_path / "results"], tmp_path / "out")
    (write_cell(tmp_path / "results", cell_spec()) / "result.json").write_text("{")
    with pytest.raises(UserError, match="none of 1 results can be used; the first, "):
        build_leaderboard([tmp_path / "results"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_page_that_cannot_be_written_says_where(root, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="can't be written"):
        build_leaderboard([root], tmp_path / "file")
