"""Records: every format gives the same dictionaries, and a mistake is named with its place."""

import csv
import gzip
import json

import pytest

from rpo_bench.data.readers import read_rows
from rpo_bench.data.sources import read_records
from rpo_bench.errors import UserError

RECORDS = [
    {"prompt": "Why?", "response": 'Because, "they" say,\nit is so.', "reward": 1.5},
    {"prompt": "Where?", "response": "Dort drüben – là-bas\u2028.", "reward": -2.0},
    {"prompt": "Why?", "response": "", "reward": 0.0},
]


def write_jsonl(path, records=RECORDS):
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records), encoding="utf-8")
    return path


def write_delimited(path, delimiter):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["prompt", "response", "reward"], delimiter=delimiter)
        writer.writeheader()
        writer.writerows(RECORDS)
    return path


def written(path):
    """RECORDS in the format that the path's ending asks for."""
    plain = path.with_name(path.name.removesuffix(".gz"))
    suffix = plain.suffix
    if suffix in (".jsonl", ".ndjson"):
        write_jsonl(plain)
    elif suffix == ".json":
        plain.write_text(json.dumps(RECORDS, indent=1))
    elif suffix in (".csv", ".tsv"):
        write_delimited(plain, "," if suffix == ".csv" else "\t")
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(RECORDS), plain)
    if path != plain:
        path.write_bytes(gzip.compress(plain.read_bytes(), mtime=0))
        plain.unlink()
    return path


def contents(rows):
    return [row.model_dump() for row in rows]


@pytest.mark.parametrize(
    "ending",
    [".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".jsonl.gz", ".json.gz", ".csv.gz", ".tsv.gz"],
)
def test_every_format_gives_the_same_rows(tmp_path, ending):
    rows = read_rows(written(tmp_path / f"rows{ending}"))
    assert contents(rows) == contents(read_rows(write_jsonl(tmp_path / "expected.jsonl")))
    assert [(r.prompt, r.response, r.reward) for r in rows] == [tuple(r.values()) for r in RECORDS]


def test_a_record_is_named_by_the_line_it_starts_on(tmp_path):
    """The first CSV record spans lines 2 and 3, so that the others start on 4 and 5."""
    records = list(read_records(write_delimited(tmp_path / "rows.csv", ",")))
    assert [r.where for r in records] == ["line 2", "line 4", "line 5"]
    assert [r.where for r in read_records(written(tmp_path / "rows.json"))] == ["item 1", "item 2", "item 3"]
    assert [r.where for r in read_records(written(tmp_path / "rows.parquet"))] == ["row 1", "row 2", "row 3"]


def test_empty_lines_are_passed_over_and_still_counted(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('\n{"a": 1}\n  \n\n{"a": 2}')
    assert [(r.number, r.value) for r in read_records(path)] == [(2, {"a": 1}), (5, {"a": 2})]


def test_a_json_file_may_hold_one_object_per_line(tmp_path):
    path = write_jsonl(tmp_path / "rows.json")
    assert [r.value for r in read_records(path)] == RECORDS


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(b"\xef\xbb\xbfprompt,response,reward\r\nHi,Ho,1\r\n")
    assert [r.value for r in read_records(path)] == [{"prompt": "Hi", "response": "Ho", "reward": "1"}]


def test_gzip_is_known_by_its_bytes_not_by_the_name(tmp_path):
    misnamed = tmp_path / "zipped.jsonl"
    misnamed.write_bytes(gzip.compress(b'{"a": 1}\n', mtime=0))
    plain = tmp_path / "plain.jsonl.gz"
    plain.write_bytes(b'{"a": 1}\n')
    assert [r.value for r in read_records(misnamed)] == [r.value for r in read_records(plain)] == [{"a": 1}]


def test_a_csv_field_may_be_longer_than_the_modules_default_limit(tmp_path):
    path = tmp_path / "long.csv"
    path.write_text(f"prompt,response,reward\nHi,{'x' * 200_000},1\n")
    assert len(next(iter(read_records(path))).value["response"]) == 200_000


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("none.jsonl", None, "{path}: there is no such file."),
        ("rows.xlsx", b"PK", "{path}: the suffix '.xlsx' isn't one of .jsonl, .ndjson, .json, .csv"),
        ("rows", b"x", "{path}: the suffix '' isn't one of"),
        ("a.json", b'[{"a": 1},\n{"a": ]', "{path} line 2: not JSON (Expecting value at column 7)."),
        ("a.json", b'[{"a": "\xff"}]', "{path} line 1: not UTF-8 (byte 0xff at column 9)."),
        ("a.jsonl", "{}".encode("utf-16"), "{path} is UTF-16 text: save it as UTF-8."),
        ("a.csv", b"a,a\n1,2\n", "{path} line 1: the header has the column 'a' twice."),
        ("a.csv", b'a,b\n1,"2\n', "{path} line 2: not ','-separated text (unexpected end of data)."),
        ("a.csv", b"a,b\n1,\xe9\n", "{path} line 2: not UTF-8 (byte 0xe9 at column 3)."),
        ("a.parquet", b"PAR1nonsense", "{path}: not a Parquet file, or a damaged one ("),
        ("a.jsonl.gz", gzip.compress(b"{}\n" * 99, mtime=0)[:-9], "{path}: its gzip compression is damaged"),
    ],
    ids=[
        "missing", "ending", "no ending", "json", "json encoding", "utf-16", "column twice", "open quote",
        "csv encoding", "parquet", "gzip",
    ],
)  # fmt: skip
def test_what_cannot_be_opened_is_one_sentence(tmp_path, name, content, sentence):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError) as raised:
        list(read_records(path))
    assert str(raised.value).startswith(sentence.format(path=path))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"{'a': 1}", "not JSON (Expecting property name enclosed in double quotes at column 2)"),
        (b'{"a": 1', "not JSON (Expecting ',' delimiter at column 8)"),
        (b"[1]", "a list, but must be an object {…}"),
        (b"null", "null, but must be an object {…}"),
        (b'"a"', "a text, but must be an object {…}"),
        (b'{"a": "\xe9"}', "not UTF-8 (byte 0xe9 at column 8)"),
        (b"[" * 200_000, "JSON nested too deeply"),
    ],
    ids=["quotes", "cut short", "list", "null", "text", "encoding", "nesting"],
)
def test_a_broken_line_is_a_problem_of_that_line_only(tmp_path, line, problem):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\n' + line + b'\n{"a": 3}\n')
    first, broken, last = read_records(path)
    assert (first.value, last.value) == ({"a": 1}, {"a": 3})
    assert (broken.where, broken.problem) == ("line 2", problem)


def test_a_csv_row_with_too_many_fields_is_a_problem_of_that_row(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n1,2\n1,2,3\n1\n")
    assert [r.problem for r in read_records(path)] == [
        None,
        "it has 3 fields, and the header has 2",
        "it has 1 fields, and the header has 2",
    ]
