"""No message carries megabytes of what others wrote: its beginning, and what to do at its end, stay."""

import json

import pytest
from run_cli import invoke

from rpo_bench.errors import LONGEST_QUOTE, UserError, bounded, located
from trainers.errors import LONGEST_MESSAGE

LONG = "x" * 2**20
MOST = LONGEST_MESSAGE + 60


def test_a_sentence_keeps_its_beginning_and_what_to_do():
    text = str(UserError(f"Prompt '{LONG}' has no response: add one."))
    assert len(text) < MOST
    assert text.startswith("Prompt 'xxx")
    assert text.endswith("has no response: add one.")
    assert "characters left out" in text


@pytest.mark.parametrize("length", [0, 1, LONGEST_MESSAGE])
def test_what_fits_stays_as_it_is(length):
    assert bounded("y" * length) == "y" * length
    assert str(UserError("y" * length)) == "y" * length


def test_someone_else_s_error_is_quoted_in_few_letters():
    with pytest.raises(ValueError, match="xxx") as raised:
        raise ValueError(LONG)
    assert len(located(raised.value)) < LONGEST_QUOTE + 120


@pytest.mark.parametrize(
    "words",
    [
        ["tasks", "show", LONG],
        ["methods", "show", LONG],
        ["verify", LONG],
        ["data", "check", f"--{LONG}"],
        [LONG],
    ],
    ids=["task", "method", "methods", "flag", "verb"],
)
def test_what_a_command_line_is_given(words):
    found = invoke(*words)
    assert found.exit_code == 2
    assert 0 < len(found.output) < MOST


@pytest.mark.parametrize(
    "row",
    [
        {LONG: 1},
        {"prompt": LONG, "response": "a", "reward": "none"},
        {"prompt_id": LONG, "prompt": "a", "response": LONG, "reward": LONG},
        {"prompt": [LONG], "response": LONG, "reward": 1},
    ],
    ids=["field", "prompt", "prompt_id", "kind"],
)
def test_rows_of_data(tmp_path, row):
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    found = invoke("data", "check", tmp_path / "rows.jsonl")
    assert found.exit_code == 2
    assert 0 < len(found.output) < MOST + 200
