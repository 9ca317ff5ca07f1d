"""Gzipped JSON lines: equal content is equal bytes, and damage is named by file and line."""

import gzip
import time

import pytest

from rpo_bench.errors import UserError
from rpo_bench.files.json_lines import read_json_lines, read_objects, write_json_lines
from rpo_bench.results.samples import ScoreLine

LINES = [{"step": 1, "loss": 0.5}, {"step": 2, "loss": float("nan"), "more": [float("inf"), "ü"]}]


@pytest.mark.parametrize("name", ["log.jsonl.gz", "log.jsonl"])
def test_lines_read_back_with_null_for_what_is_not_finite(tmp_path, name):
    write_json_lines(tmp_path / name, LINES)
    assert read_objects(tmp_path / name) == [
        {"step": 1, "loss": 0.5},
        {"step": 2, "loss": None, "more": [None, "ü"]},
    ]


def test_bytes_depend_on_neither_the_name_nor_the_time(tmp_path, monkeypatch):
    write_json_lines(tmp_path / "a.gz", LINES)
    monkeypatch.setattr(time, "time", lambda: 4e9)
    write_json_lines(tmp_path / "other.gz", LINES)
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "other.gz").read_bytes()


def test_models_read_back_as_models(tmp_path):
    line = ScoreLine(
        prompt_id="p", sample=0, scores={"reward": 1.5, "toxicity": None}, unscored={"toxicity": "empty"}
    )
    write_json_lines(tmp_path / "s.gz", [line])
    assert read_json_lines(tmp_path / "s.gz", ScoreLine) == [line]


def test_nothing_is_left_of_a_file_whose_writing_failed(tmp_path):
    def lines():
        yield {"step": 1}
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        write_json_lines(tmp_path / "log.gz", lines())
    assert list(tmp_path.iterdir()) == []


def test_a_line_that_does_not_fit_is_named_by_number_and_field(tmp_path):
    (tmp_path / "s.gz").write_bytes(
        gzip.compress(b'{"prompt_id":"p","sample":0,"scores":{}}\n\n{"prompt_id":"q"}\n')
    )
    with pytest.raises(UserError, match=r"s\.gz, line 3: sample: Field required"):
        read_json_lines(tmp_path / "s.gz", ScoreLine)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [(b"{", "line 1 is not JSON"), (b"[1]", "line 1 is not a JSON object"), (b'{"a":NaN}', "NaN")],
    ids=["cut short", "a list", "not finite"],
)
def test_a_line_that_is_no_object_is_named(tmp_path, line, sentence):
    (tmp_path / "log.gz").write_bytes(gzip.compress(line))
    with pytest.raises(UserError, match=sentence):
        read_objects(tmp_path / "log.gz")


def test_a_file_cut_short_is_damaged(tmp_path):
    write_json_lines(tmp_path / "log.gz", [{"step": i} for i in range(1000)])
    whole = (tmp_path / "log.gz").read_bytes()
    (tmp_path / "log.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"log\.gz is damaged"):
        read_objects(tmp_path / "log.gz")


def test_a_file_of_another_kind_is_damaged(tmp_path):
    (tmp_path / "log.gz").write_bytes(b"plain text")
    with pytest.raises(UserError, match=r"log\.gz is damaged"):
        read_objects(tmp_path / "log.gz")


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(UserError, match="there is no such file"):
        read_objects(tmp_path / "log.gz")
