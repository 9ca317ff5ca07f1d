"""Whatever is changed in a stored record, it is a record or a named broken one, and the rest is as before."""

import copy
import dataclasses
import json
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from any_input import EVERY_TIME, texts, values
from hostile import write_sampled
from hypothesis import given, settings
from hypothesis import strategies as st
from results_factory import cell_spec

from rpo_bench.analysis.board import Board, make_board
from rpo_bench.errors import UserError
from rpo_bench.results.store import RECORD_FILE, Results, read_results
from rpo_bench.site.downloads import csv_text, json_text
from rpo_bench.site.page import page
from rpo_bench.spec.schema import CellSpec

Place = tuple[Any, ...]


@dataclasses.dataclass(frozen=True)
class Stage:
    """Good results, and a stranger's record among them that is changed.

    Attributes:
        results: The folder of all.
        folder: That of the stranger's.
        record: What was in it.
        before: The results without it.
        board: Their board.
    """

    results: Path
    folder: Path
    record: dict[str, Any]
    before: Results
    board: Board


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    results = tmp_path_factory.mktemp("any_record") / "results"
    for spec in (cell_spec("reference", None), cell_spec("rpo", 0.3), cell_spec("sft", 0.3)):
        write_sampled(results, spec)
    before = read_results(results)
    board = make_board(before)
    folder = write_sampled(results / "community" / "mallory", cell_spec("rpo", 0.3, seed=7))
    record = json.loads((folder / RECORD_FILE).read_text(encoding="utf-8"))
    logging.disable(logging.WARNING)
    yield Stage(results, folder, record, before, board)
    logging.disable(logging.NOTSET)
    shutil.rmtree(results)


def places(value: Any, here: Place = ()) -> Iterator[Place]:
    """Where fields are, at any depth."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*here, key)
        yield from places(inner, (*here, key))


def changed(record: dict[str, Any], changes: list[tuple[float, str, Any]]) -> dict[str, Any]:
    """The record with some fields dropped, renamed, replaced or put elsewhere."""
    record = copy.deepcopy(record)
    for share, how, value in changes:
        found = list(places(record))
        if not found:
            break
        *way, last = found[int(share * (len(found) - 1))]
        holder = record
        for key in way:
            holder = holder[key]
        if how == "replace" or isinstance(holder, list):
            holder[last] = value
        elif how == "drop":
            del holder[last]
        elif how == "rename":
            holder[str(value)] = holder.pop(last)
        else:
            record[last] = holder[last]
    return record


def with_hash(record: dict[str, Any]) -> dict[str, Any]:
    """Somebody who means harm writes down the hash that the changed spec has."""
    try:
        return {**record, "cell": CellSpec.model_validate_json(json.dumps(record.get("spec"))).hash}
    except (ValueError, UserError):
        return record


def is_held(stage: Stage, content: bytes) -> None:
    (stage.folder / RECORD_FILE).write_bytes(content)
    found = read_results(stage.results)
    kept = [stored for stored in found.records if stored.folder != stage.folder]
    assert kept == list(stage.before.records)
    named = [*found.broken, *found.duplicates, *(one for one in found.records if one.folder == stage.folder)]
    assert [one.folder for one in named] == [stage.folder]
    for broken in found.broken:
        assert broken.reason
        assert len(broken.reason.encode()) < 2_000
    if len(found.records) == len(kept):
        return  # the board is made of the records, and they are as before
    board = make_board(found)
    page(board, [stage.results]).encode()
    assert {row.key for row in stage.board.rows} <= {row.key for row in board.rows}
    csv_text(board).encode()
    json.loads(json_text(board), parse_constant=pytest.fail)


anything = values(leaves=4)
changes = st.lists(
    st.tuples(st.floats(0, 1), st.sampled_from(["drop", "rename", "replace", "replace", "move"]), anything),
    min_size=1,
    max_size=3,
)


@settings(EVERY_TIME, max_examples=25)
@given(edits=changes, hashed=st.booleans())
def test_any_field_changed(stage: Stage, edits: list[tuple[float, str, Any]], hashed: bool):
    record = changed(stage.record, edits)
    is_held(stage, json.dumps(with_hash(record) if hashed else record, skipkeys=True).encode())


@settings(EVERY_TIME, max_examples=12)
@given(
    edits=st.lists(
        st.tuples(st.floats(0, 1), st.integers(0, 8), st.binary(max_size=4) | texts), min_size=1, max_size=3
    )
)
def test_any_bytes_changed(stage: Stage, edits: list[tuple[float, int, bytes | str]]):
    content = json.dumps(stage.record).encode()
    for share, gone, new in edits:
        at = int(share * len(content))
        content = (
            content[:at]
            + (new if isinstance(new, bytes) else new.encode("utf-8", "replace"))
            + content[at + gone :]
        )
    is_held(stage, content)
