"""Whatever lies in a data file, its rows are read or refused in one sentence: property tests."""

import csv
import gzip
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from any_input import EVERY_TIME, numbers, scalars, texts, values
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from rpo_bench.data.caveats import warnings_of
from rpo_bench.data.convert import prompts_of
from rpo_bench.data.readers import load_rows
from rpo_bench.data.report import describe
from rpo_bench.data.split import split_rows
from rpo_bench.errors import UserError
from rpo_bench.files.hashing import hash_json
from rpo_bench.tasks.source import DatasetSource

TEXT_ENDINGS = (".jsonl", ".json", ".csv", ".tsv")
GOOD: tuple[dict[str, Any], ...] = (
    {"prompt": "Why?", "response": "So.", "reward": 1.0, "reference_rewards": [0.5, 1.0], "split": "train"},
    {"prompt": "Where?", "response": "There.", "reward": 0.0, "reference_rewards": None, "split": "test"},
)
FIELDS = (
    "prompt", "response", "completion", "reward", "label", "messages", "responses", "chosen", "rejected",
    "prompt_id", "split", "behaviour_logp", "reference_rewards", "references", "reference", "metadata",
    "text", "role", "content",
)  # fmt: skip
TASK = DatasetSource(
    dataset="d",
    prompt="{prompt}",
    response="{response}",
    reward="reward",
    keep=("split",),
    skip_incomplete=True,
)

keys = st.one_of(st.sampled_from(FIELDS), texts)
turns = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "system"]) | scalars, "content": values(keys, 3)}
    ),
    max_size=3,
)
answers = st.lists(st.fixed_dictionaries({"text": texts | scalars, "reward": numbers | scalars}), max_size=3)


def whole(**likely: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A record of a known shape, with anything in some places and any other fields."""
    fields = {name: st.one_of(one, one, values(keys)) for name, one in likely.items()}
    return st.builds(
        lambda known, others: others | known,
        st.fixed_dictionaries(fields),
        st.dictionaries(keys, values(keys), max_size=2),
    )


records = st.one_of(
    whole(prompt=texts | turns, response=texts, reward=numbers),
    whole(prompt=texts, responses=answers),
    whole(prompt=texts | turns, chosen=texts | turns, rejected=texts | turns),
    whole(messages=turns, reward=numbers),
    whole(prompt=texts, completion=texts, label=st.booleans()),
    st.dictionaries(keys, values(keys), max_size=4),
    values(keys),
)
tables = st.lists(st.one_of(records, st.sampled_from(GOOD)), max_size=4).map(lambda rows: [*GOOD, *rows])


def is_one_sentence(error: UserError, path: Path) -> None:
    sentence = str(error).replace(str(path), "FILE")
    assert sentence.isprintable()
    assert "FILE" in sentence
    assert sentence.endswith(".")
    assert len(sentence) < 1_000


def is_read_or_refused(path: Path) -> None:
    """By every way from a file to rows, with what looks at all of them."""
    for rule in ("fail", "skip"):
        try:
            loaded = load_rows(path, on_bad=rule, min_prompts=1)
            rows = loaded.rows
            report = describe(rows, "FILE", loaded.skipped, loaded.reasons)
            json.dumps([str(one) for one in warnings_of(report, rows)], ensure_ascii=False).encode()
            hash_json([row.model_dump(mode="json") for row in rows])
            hash_json([prompt.model_dump(mode="json") for prompt in prompts_of(rows)])
            assert all(reason.isprintable() and len(reason) < 700 for reason in loaded.reasons)
            split_rows(rows, 0.5, seed=0)
        except UserError as error:
            if not str(error).startswith(("The rows", "A prompt is in")):  # of all rows together
                is_one_sentence(error, path)
    try:
        rows = TASK.model_copy(update={"data_files": {"train": str(path)}}).rows("train", "t", path.parent)
        hash_json([row.model_dump(mode="json") for row in rows])
    except UserError as error:
        is_one_sentence(error, path)


def check(name: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        is_read_or_refused(path)


def json_text(value: Any) -> str:
    return json.dumps(value, skipkeys=True)


def written(rows: list[Any], ending: str) -> bytes:
    if ending == ".jsonl":
        return "\n".join(map(json_text, rows)).encode()
    if ending == ".json":
        return json_text(rows).encode()
    if ending == ".parquet":
        return as_parquet([row for row in rows if isinstance(row, dict)])
    return as_table([row for row in rows if isinstance(row, dict)], "," if ending == ".csv" else "\t")


def as_table(rows: list[dict[str, Any]], delimiter: str) -> bytes:
    """CSV whose cells are texts, or other values as JSON or as Python writes them."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(columns)
    for number, row in enumerate(rows):
        found = [row.get(name, "") for name in columns]
        writer.writerow([x if isinstance(x, str) else (json_text(x), ascii(x))[number % 2] for x in found])
    return text.getvalue().encode("utf-8", "surrogatepass")


def as_parquet(rows: list[dict[str, Any]]) -> bytes:
    """Those columns that Parquet can hold."""
    columns = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        try:
            columns[name.encode("utf-8", "replace").decode()] = pa.array([row.get(name) for row in rows])
        except (pa.ArrowException, ValueError, OverflowError, TypeError):
            continue
    packed = io.BytesIO()
    try:
        pq.write_table(pa.table(columns), packed)
    except (pa.ArrowException, ValueError):
        assume(False)
    return packed.getvalue()


encoded = texts.map(lambda text: text.encode("utf-8", "surrogatepass"))
changes = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 6), st.binary(max_size=6) | encoded), min_size=1, max_size=4
)


def changed(content: bytes, edits: list[tuple[float, int, bytes]]) -> bytes:
    """Some bytes replaced by others, at places given as shares of the length."""
    for share, gone, new in edits:
        at = int(share * len(content))
        content = content[:at] + new + content[at + gone :]
    return content


@settings(EVERY_TIME, max_examples=50)
@given(rows=tables, ending=st.sampled_from([*TEXT_ENDINGS, ".parquet"]))
def test_any_values_in_rows(rows: list[Any], ending: str):
    check(f"rows{ending}", written(rows, ending))


@settings(EVERY_TIME, max_examples=100)
@given(edits=changes, ending=st.sampled_from([*TEXT_ENDINGS, ".parquet"]), zipped=st.booleans())
def test_any_bytes_changed_in_a_good_file(edits: list[tuple[float, int, bytes]], ending: str, zipped: bool):
    content = written(list(GOOD), ending)
    check(f"rows{ending}", changed(gzip.compress(content, mtime=0) if zipped else content, edits))


@settings(EVERY_TIME, max_examples=100)
@given(
    content=st.binary(max_size=120), ending=st.sampled_from([*TEXT_ENDINGS, ".parquet"]), zipped=st.booleans()
)
@example(content=b"PAR1" * 4, ending=".parquet", zipped=False)
@example(content=b"prompt,response,reward\n" * 3, ending=".csv", zipped=True)
def test_any_bytes(content: bytes, ending: str, zipped: bool):
    check(f"rows{ending}", gzip.compress(content, mtime=0) if zipped else content)


@settings(EVERY_TIME, max_examples=60)
@given(cell=texts, column=st.sampled_from(FIELDS), delimiter=st.sampled_from([",", "\t"]))
def test_any_text_in_a_cell(cell: str, column: str, delimiter: str):
    check(
        "rows.csv" if delimiter == "," else "rows.tsv",
        as_table([*GOOD, {**GOOD[0], column: cell}], delimiter),
    )
