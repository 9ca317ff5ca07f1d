"""Data files of anybody's: read, or refused in one short sentence that names the file and the place."""

import bz2
import csv
import gzip
import io
import json
import lzma
import os
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rpo_bench.data.conversation import alike
from rpo_bench.data.readers import load_rows, read_rows
from rpo_bench.data.shapes import ASSISTANT, common_prompt
from rpo_bench.errors import UserError
from rpo_bench.tasks.source import DatasetSource

MIB = 1 << 20
GOOD = [
    {"prompt": "Why?", "response": "So.", "reward": 1.0},
    {"prompt": "Where?", "response": "There.", "reward": 0.0},
]


def refused(path: Path, limit: int = 800) -> str:
    """Why a file is refused, without its name; under either rule about bad records."""
    for rule in ("skip", "fail"):
        with pytest.raises(UserError) as raised:
            load_rows(path, on_bad=rule)
        sentence = str(raised.value)
        assert sentence.startswith(str(path))
        assert sentence.endswith(".")
        assert sentence.removeprefix(str(path)).isprintable()
        assert len(sentence) < limit
    return sentence.removeprefix(str(path)).strip()


def jsonl(folder: Path, *lines: str | bytes) -> Path:
    path = folder / "rows.jsonl"
    path.write_bytes(b"".join((x if isinstance(x, bytes) else x.encode()) + b"\n" for x in lines))
    return path


def in_format(folder: Path, ending: str, rewards: list[str]) -> Path:
    """Rows whose rewards are texts, in a format."""
    path = folder / f"rows{ending}"
    rows = [{"prompt": f"p{i}", "response": "r", "reward": reward} for i, reward in enumerate(rewards)]
    if ending in (".csv", ".tsv"):
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0], delimiter="," if ending == ".csv" else "\t")
            writer.writeheader()
            writer.writerows(rows)
    elif ending == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text(json.dumps(rows) if ending == ".json" else "\n".join(map(json.dumps, rows)))
    return path


NO_NUMBERS = (
    "1_000", "1__0", "_1", "١٢٣", "１", "0x10", "0x1p3", "0b1", "0o7", "1,5", "½", "1e", "--1", "1j", "1 2",
    "∞", "1L", "nan(1)", "", "abc", "1\x00", "1\u2003", "\u00a01", "9" * 5_000, "0" * 5_000 + "1",
)  # fmt: skip
NOT_USABLE = (
    "nan",
    "-NaN",
    "inf",
    "Infinity",
    "-infinity",
    "1e999",
    "-1e999",
    "1e300",
    "9" * 400,
    "true",
    "FALSE",
)


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".json", ".jsonl", ".parquet"])
@pytest.mark.parametrize("text", NO_NUMBERS + NOT_USABLE, ids=lambda text: ascii(text)[1:20] or "nothing")
def test_a_text_that_is_no_number_is_none_in_any_format(tmp_path: Path, ending: str, text: str):
    path = in_format(tmp_path, ending, ["1", text])
    unread = load_rows(in_format(tmp_path, ending, ["1", text]), on_bad="skip", min_prompts=1) if (
        ending in (".csv", ".tsv")
    ) else None  # fmt: skip
    assert unread is None or [row.reward for row in unread.rows] == [1.0]
    assert "'reward' is" in refused(path)


@pytest.mark.parametrize("ending", [".csv", ".tsv"])
@pytest.mark.parametrize(
    ("text", "number"),
    [("1", 1), (" -1 ", -1), ("+1.5", 1.5), (".5", 0.5), ("5.", 5), ("1e3", 1e3), ("1E-3", 1e-3), ("007", 7)],
)
def test_numbers_are_read_as_spreadsheets_write_them(tmp_path: Path, ending: str, text: str, number: float):
    assert read_rows(in_format(tmp_path, ending, [text, "0"]))[0].reward == number


@pytest.mark.parametrize(
    ("spelt", "what"),
    [
        ("1e999", "inf, it must be finite"),
        ("-Infinity", "-inf, it must be finite"),
        ("NaN", "nan, it must be finite"),
        ("1e39", "1e+39, but models compute with numbers up to 3.4e+38"),
        ("9" * 400, "inf, it must be finite"),
        ("true", "true, but must be a number: write 1 and 0"),
        ("[]", "a list, but must be a number"),
    ],
)
@pytest.mark.parametrize("field", ["reward", "behaviour_logp"])
def test_numbers_of_json_are_finite_and_fit_into_a_model(tmp_path: Path, field: str, spelt: str, what: str):
    row = {**GOOD[0], field: "HERE"}
    path = jsonl(tmp_path, json.dumps(row).replace('"HERE"', spelt))
    assert f"line 1: '{field}' is {what}" in refused(path)


def test_a_task_reads_numbers_by_the_same_rules(tmp_path: Path):
    source = DatasetSource(
        dataset="d",
        prompt="{prompt}",
        response="{response}",
        reward="reward",
        data_files={"train": "rows.jsonl"},
    )
    for bad in ('"1_000"', '"١"', "true", "1e999", "[1]", '"0x10"'):
        jsonl(tmp_path, json.dumps({**GOOD[0], "reward": "HERE"}).replace('"HERE"', bad))
        with pytest.raises(UserError, match=r"rows\.jsonl line 1: the column 'reward' is ") as raised:
            source.rows("train", "t", tmp_path)
        assert len(str(raised.value)) < 300
    jsonl(tmp_path, json.dumps({**GOOD[0], "reward": " 1.5 "}))
    assert source.rows("train", "t", tmp_path)[0].reward == 1.5


def two_columns(folder: Path, ending: str) -> Path:
    path = folder / f"rows{ending}"
    row = '{"prompt": "a", "response": "b", "reward": 1, "reward": 2}'
    if ending == ".parquet":
        arrays = [pa.array(["a", "c"]), pa.array(["b", "b"]), pa.array([1.0, 2.0]), pa.array([3.0, 4.0])]
        pq.write_table(pa.Table.from_arrays(arrays, names=["prompt", "response", "reward", "reward"]), path)
    elif ending in (".csv", ".tsv"):
        path.write_text(
            "prompt,response,reward,reward\na,b,1,2\n".replace(",", "," if ending == ".csv" else "\t")
        )
    else:
        path.write_text(f"[{row}]" if ending == ".json" else f"{row}\n")
    return path


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".json", ".jsonl", ".parquet"])
def test_a_column_that_comes_twice_is_refused_in_any_format(tmp_path: Path, ending: str):
    sentence = refused(two_columns(tmp_path, ending))
    assert "'reward'" in sentence
    assert "twice" in sentence


@pytest.mark.parametrize(
    "line",
    [
        '{"prompt": "a", "responses": [{"text": "b", "reward": 1, "reward": 2}]}',
        '{"prompt": "a", "response": "b", "reward": 1, "metadata": {"reward": 1, "reward": 2}}',
    ],
)
def test_nor_may_a_field_within_one(tmp_path: Path, line: str):
    assert "line 1: JSON with 'reward' twice in one object" in refused(jsonl(tmp_path, line))
    struct = pa.StructArray.from_arrays([pa.array([1.0]), pa.array([2.0])], names=["reward", "reward"])
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"prompt": ["a"], "responses": pa.ListArray.from_arrays([0, 1], struct)}), path)
    assert "has the column 'reward' twice" in refused(path)


def test_parquet_texts_that_are_not_utf8_are_a_problem_of_their_row(tmp_path: Path):
    offsets = pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0")
    texts = pa.Array.from_buffers(pa.string(), 3, [None, offsets, pa.py_buffer(b"a\xe9c")])
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"prompt": texts, "response": ["x"] * 3, "reward": [1.0] * 3}), path)
    loaded = load_rows(path, on_bad="skip")
    assert [row.prompt for row in loaded.rows] == ["a", "c"]
    assert loaded.reasons == ("row 2: 'prompt' is not UTF-8 (byte 0xe9)",)


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".json", ".parquet"])
@pytest.mark.parametrize("kind", ["pipe", "device", "socket", "loop", "link to a folder", "endless"])
def test_only_regular_files_are_read(tmp_path: Path, kind: str, ending: str):
    path = tmp_path / f"rows{ending}"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        os.mknod(path, 0o140600)
    else:
        targets = {
            "device": "/dev/null",
            "loop": str(path),
            "link to a folder": str(tmp_path),
            "endless": "/dev/zero",
        }
        path.symlink_to(targets[kind])
    assert refused(path)


@pytest.mark.parametrize("name", ["n" * 5_000 + ".jsonl", "nul\0.jsonl", "half \ud800.jsonl"], ids=ascii)
def test_names_that_no_file_has_are_refused(name: str):
    with pytest.raises(UserError, match=r"can't be|no such file"):
        load_rows(name)


def zipped() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("rows.jsonl", "{}")
    return packed.getvalue()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (lambda: gzip.compress(b" " * (17 * MIB), mtime=0), "expands to more than 200 times its"),
        (
            lambda: gzip.compress(b"\n" * (17 * MIB), mtime=0),
            "expands to more than 200 times its",
        ),
        (
            lambda: gzip.compress(b'[{"a": "' + b"x" * (17 * MIB), mtime=0),
            "expands to more than 200 times its",
        ),
        (zipped, "is a zip archive: unpack it"),
        (lambda: lzma.compress(b"x" * MIB), "is an xz archive: unpack it"),
        (lambda: bz2.compress(b"x"), "is a bzip2 archive: unpack it"),
    ],
    ids=["gzip, blanks", "gzip, lines", "gzip, a text", "zip", "xz", "bzip2"],
)
@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".json"])
def test_bombs_and_archives_are_put_down(
    tmp_path: Path, ending: str, content: Callable[[], bytes], sentence: str
):
    path = tmp_path / f"rows{ending}"
    path.write_bytes(content())
    assert sentence in refused(path)


@pytest.mark.parametrize(
    "columns",
    [
        lambda: {"prompt": pa.DictionaryArray.from_arrays(pa.array([0] * 400), pa.array(["x" * 100_000]))},
        lambda: {"responses": pa.array([[{"text": "x" * 100_000, "reward": 1.0}] * 400])},
        lambda: {"prompt": pa.array(["x" * (17 * MIB)])},
        lambda: {"prompt": pa.nulls(17 * MIB, pa.string())},
        lambda: {"metadata": pa.ListArray.from_arrays([0, 17 * MIB], pa.nulls(17 * MIB, pa.int8()))},
    ],
    ids=["one text for all rows", "one text within a row", "a long text", "no rows", "a long list"],
)
def test_parquet_that_stands_for_more_than_it_holds_is_put_down(
    tmp_path: Path, columns: Callable[[], dict[str, pa.Array]]
):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table(columns()), path, compression="zstd")
    assert path.stat().st_size < MIB
    assert "expands to more than 200 times its" in refused(path)


def test_a_line_has_an_end_and_the_next_one_is_read(tmp_path: Path):
    long = b'{"prompt": "' + b"x" * (33 * MIB)
    path = jsonl(tmp_path, json.dumps(GOOD[0]), long, json.dumps(GOOD[1]))
    loaded = load_rows(path, on_bad="skip")
    assert [row.prompt for row in loaded.rows] == ["Why?", "Where?"]
    assert loaded.reasons == ("line 2: the line is longer than 32 MiB",)


def with_field(name: str, value: str) -> str:
    """A good row with one more field, in JSON."""
    return json.dumps({**GOOD[0], name: "HERE"}).replace('"HERE"', value)


LONG = "x" * 100_000
DEEP = "[" * 500 + "]" * 500


@pytest.mark.parametrize(
    "line",
    [
        json.dumps({LONG: 1}),
        json.dumps({f"column {i}": 1 for i in range(10_000)}),
        json.dumps({"messages": [{LONG: 1}], "reward": 1}),
        json.dumps({"messages": [{"role": LONG, "content": "a"}] * 2, "reward": 1}),
        json.dumps({"prompt": [{"role": "user", "content": "a"}], "reward": 1}
                   | {"response": [{"role": "user", "content": "a"}] * 1_000}),
        json.dumps({**GOOD[0], "reward": LONG}),
        json.dumps({**GOOD[0], "split": LONG, "prompt_id": 1.5}),
        json.dumps({**GOOD[0], "prompt_id": LONG}) + "\n" + json.dumps({**GOOD[1], "prompt_id": LONG}),
        with_field("behaviour_logp", "1" + "0" * 4_000),
        with_field("prompt_id", "9" * 5_000),
        '{"prompt": "a", "response": "b", "reward": 1, "\\ud800": 1}',
        with_field("m", '{"\\ud800": 1}'),
        with_field("split", '"\\ud800"'),
        with_field("prompt_id", '"\\ud800"'),
        with_field("m", DEEP),
        with_field("m", DEEP.replace("[", '{"a":').replace("]", "}")),
        with_field("references", DEEP),
        '{"a\\nb\\u001b[31m\\u202e": 1}',
        '{"a": 1}\r{"a": 2}',
        "\ufeff" + json.dumps(GOOD[0]),
    ],
    ids=[
        "long column", "many columns", "long key", "long role", "many turns", "long number", "long split",
        "long id", "digits", "too many digits", "column's surrogate", "key's surrogate", "split's surrogate",
        "id's surrogate", "deep lists", "deep objects", "deep references", "escapes", "carriage return",
        "second mark",
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_row_is_told_shortly_with_its_line(tmp_path: Path, line: str):
    assert refused(jsonl(tmp_path, "", line)).startswith(("line 2: ", "line 3: "))


@pytest.mark.parametrize(
    "cell",
    ["[1,", "[" + "1 ," * 400_000 + " x]", "[" + "9" * 5_000 + "]", "[" * 90_000, "[" + "-" * 90_000 + "1]",
     "[{[]: 1}]", "['\\d' 'x", "[1][0]", str([{"\ud800": 1}]), "[" + "(" * 150 + ")" * 150 + "]"],
    ids=["open", "long", "digits", "deep", "minus", "unhashable", "escape", "item", "surrogate", "tuples"],
)  # fmt: skip
@pytest.mark.parametrize("column", ["references", "reference_rewards", "responses", "metadata", "prompt"])
def test_cells_that_spell_nothing_usable_are_read_or_refused(tmp_path: Path, column: str, cell: str):
    path = tmp_path / "rows.csv"
    with path.open("w", newline="", encoding="utf-8", errors="surrogatepass") as file:
        csv.writer(file).writerows([["prompt", "response", "reward", column], ["a", "b", 1, cell]])
    with pytest.raises(UserError) as raised:
        load_rows(path)
    assert len(str(raised.value)) < 800


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp037"])
@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".json"])
def test_other_encodings_are_refused(tmp_path: Path, ending: str, encoding: str):
    path = tmp_path / f"rows{ending}"
    path.write_bytes(in_format(tmp_path, ending, ["1", "2"]).read_text("utf-8").encode(encoding))
    assert refused(path)


def test_carriage_returns_alone_are_named(tmp_path: Path):
    path = tmp_path / "rows.csv"
    path.write_bytes(b"prompt,response,reward\ra,b,1\rc,d,2\r")
    assert "a lone carriage return, which doesn't end a line" in refused(path)


def test_texts_may_hold_nul(tmp_path: Path):
    rows = read_rows(jsonl(tmp_path, *(json.dumps({**row, "response": "a\0b"}) for row in GOOD)))
    assert [row.response for row in rows] == ["a\0b"] * 2


@pytest.mark.parametrize(
    "work",
    [
        lambda: common_prompt(f"Hi{ASSISTANT * 50_000}x", f"Hi{ASSISTANT * 40_000}y"),
        lambda: alike("a" + "\u0301\u0327" * 50_000),
    ],
    ids=["turns in common", "marks on one letter"],
)  # fmt: skip
def test_texts_take_time_by_their_length_not_by_its_square(work):
    """Seconds of this process, tens of times what they take; their squares take hundreds of times that."""
    start = time.process_time()
    assert work()
    assert time.process_time() - start < 10


def test_parted_marks_leave_prompts_alike():
    assert alike("e\u0301") == alike("é")
    assert alike("a" + "\u0301" * 300) == alike("A" + "\u0301" * 300) != alike("a" + "\u0301" * 299)
