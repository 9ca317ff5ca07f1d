"""Reading rows: what is whole and consistent goes through; the first mistake ends it, or is counted."""

import csv
import json
import logging

import pytest

from rpo_bench.data.readers import load_rows, read_rows
from rpo_bench.errors import UserError

GOOD = [
    {"prompt": "Why?", "response": "So.", "reward": 1},
    {"prompt": "Where?", "response": "There.", "reward": 0},
]


def jsonl(folder, records):
    path = folder / "rows.jsonl"
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in records))
    return path


def sentence_of(path, **options):
    with pytest.raises(UserError) as raised:
        read_rows(path, **options)
    return str(raised.value)


def test_one_bad_line_ends_the_reading_and_says_how_to_go_on(tmp_path):
    path = jsonl(tmp_path, [GOOD[0], {"prompt": "Why?", "response": "No."}, GOOD[1]])
    assert sentence_of(path) == (
        f"{path} line 2: 'reward' is missing; fix it, or leave such records out with --skip-bad-lines."
    )


def test_bad_lines_can_be_left_out_and_are_counted_with_the_first_reasons(tmp_path):
    bad = [
        {"prompt": "Why?", "response": "No."},
        "{",
        {"chosen": "a"},
        "[]",
        {"prompt": "", **GOOD[0], "reward": "x"},
    ]
    path = jsonl(tmp_path, [GOOD[0], *bad, "7", GOOD[1]])
    loaded = load_rows(path, on_bad="skip")
    assert [row.response for row in loaded.rows] == ["So.", "There."]
    assert loaded.skipped == 6
    assert len(loaded.reasons) == 5
    assert loaded.reasons[0] == "line 2: 'reward' is missing"


def test_what_was_left_out_is_logged(tmp_path, caplog):
    path = jsonl(tmp_path, [GOOD[0], "{", GOOD[1]])
    with caplog.at_level(logging.WARNING):
        read_rows(path, on_bad="skip")
    assert f"{path}: 1 record left out (line 2: not JSON" in caplog.text


@pytest.mark.parametrize("content", ["", "\n\n", "[]"])
def test_an_empty_file_has_no_rows(tmp_path, content):
    path = tmp_path / ("rows.json" if content == "[]" else "rows.jsonl")
    path.write_text(content)
    assert sentence_of(path) == f"{path} has no usable rows."


def test_a_file_of_bad_lines_only_gives_the_first_reason_even_when_they_are_left_out(tmp_path):
    path = jsonl(tmp_path, ["{}", "{}"])
    assert sentence_of(path, on_bad="skip").startswith(
        f"{path} has no usable rows: line 1: it has the columns"
    )


def test_one_prompt_is_not_enough_to_hold_one_out(tmp_path):
    path = jsonl(tmp_path, [GOOD[0], {**GOOD[0], "response": "No."}])
    assert sentence_of(path) == f"{path} has only one prompt: at least 2 are needed, to hold out one or more."
    assert len(read_rows(path, min_prompts=1)) == 2


def test_a_prompt_id_stands_for_one_prompt(tmp_path):
    path = jsonl(tmp_path, [{**GOOD[0], "prompt_id": "a"}, {**GOOD[1], "prompt_id": "a"}])
    assert f"{path} line 2: 'prompt_id' a belongs to another prompt at line 1" in sentence_of(path)


def test_reference_rewards_on_one_row_are_those_of_its_prompt(tmp_path):
    """Given on the second of two responses, they are on both; the other prompt has none."""
    records = [GOOD[0], {**GOOD[0], "response": "No.", "reference_rewards": [1, 2]}, GOOD[1]]
    assert [row.reference_rewards for row in read_rows(jsonl(tmp_path, records))] == [(1, 2), (1, 2), None]


def test_reference_rewards_must_agree(tmp_path):
    records = [{**GOOD[0], "reference_rewards": [1]}, {**GOOD[0], "reference_rewards": [2]}, GOOD[1]]
    path = jsonl(tmp_path, records)
    assert (
        f"{path} line 2: 'reference_rewards' differ from those of the same prompt at line 1"
        in sentence_of(path)
    )


def test_a_record_is_taken_whole_or_not_at_all(tmp_path):
    nested = {"prompt": "What?", "responses": [{"text": "A", "reward": 1}, {"text": "B"}]}
    loaded = load_rows(jsonl(tmp_path, [nested, *GOOD]), on_bad="skip")
    assert [row.prompt for row in loaded.rows] == ["Why?", "Where?"]


def test_a_split_can_be_read_alone_and_counts_as_undivided(tmp_path):
    others = [{**r, "split": "validation", "response": "X"} for r in GOOD]
    path = jsonl(tmp_path, [*({**r, "split": "train"} for r in GOOD), *others])
    rows = read_rows(path, split="validation")
    assert [(row.response, row.split) for row in rows] == [("X", None), ("X", None)]
    assert sentence_of(path, split="dev") == (
        f"{path} has no rows of the split 'dev': its splits are train, validation."
    )


def test_a_split_is_asked_of_rows_that_have_none(tmp_path):
    path = jsonl(tmp_path, GOOD)
    assert sentence_of(path, split="train") == (
        f"{path} has no rows of the split 'train': its rows have no 'split'."
    )


def test_shapes_may_be_mixed_in_one_file(tmp_path):
    nested = {"prompt": "What?", "responses": [{"text": "A", "reward": 1}, {"text": "B", "reward": 2}]}
    pair = {"prompt": "Who?", "chosen": "I.", "rejected": "You."}
    assert [row.response for row in read_rows(jsonl(tmp_path, [GOOD[0], nested, pair]))] == [
        "So.",
        "A",
        "B",
        "I.",
        "You.",
    ]


def test_columns_of_ones_own_are_read_under_our_names(tmp_path):
    """The one called 'prompt' gives way; what wasn't named stays metadata."""
    value = {"question": "Why?", "answer": "So.", "score": 1, "prompt": "other", "day": 3}
    columns = {"prompt": "question", "response": "answer", "reward": "score"}
    (tmp_path / "rows.jsonl").write_text(json.dumps(value) + "\n")
    (row,) = read_rows(tmp_path / "rows.jsonl", min_prompts=1, columns=columns)
    assert (row.prompt, row.response, row.reward, row.metadata) == ("Why?", "So.", 1.0, {"day": 3})
    sentence = (
        "line 1: the column 'points', which --reward-column names, is missing; there are question, answer"
    )
    with pytest.raises(UserError, match=sentence):
        read_rows(tmp_path / "rows.jsonl", columns=columns | {"reward": "points"})


@pytest.mark.parametrize("spell", [json.dumps, str], ids=["json", "as pandas writes it"])
@pytest.mark.parametrize(
    ("column", "listed"), [("reference_rewards", [0.5, 1.0]), ("references", ["Paris", "It's Paris"])]
)
def test_a_list_in_a_cell_is_read_alike_in_every_column_of_lists(tmp_path, spell, column, listed):
    with (tmp_path / "rows.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("prompt", "response", "reward", column), ("a", "b", 1, spell(listed))])
    (row,) = read_rows(tmp_path / "rows.csv", min_prompts=1)
    assert list(row.reference_rewards or row.metadata["references"]) == listed


@pytest.mark.parametrize("column", ["reference_rewards", "references"])
def test_a_cell_that_spells_no_list_is_refused(tmp_path, column):
    (tmp_path / "rows.csv").write_text(f"prompt,response,reward,{column}\na,b,1,[Paris]\n")
    with pytest.raises(UserError, match=f"line 2: '{column}' is '\\[Paris\\]', not JSON"):
        read_rows(tmp_path / "rows.csv")
