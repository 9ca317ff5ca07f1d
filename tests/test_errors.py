"""What a sentence quotes of someone else's error."""

import pytest

from rpo_bench.errors import first_line

_WORDS = "and so on, " * 40


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("  no such\tfile. \n at line 3", "no such file"),
        ("", "ValueError"),
        ("it can't be read:\n- a\n- b", "it can't be read"),
        (f"Unrecognised model in folder. Its name has one of {_WORDS}", "Unrecognised model in folder"),
    ],
)
def test_an_error_is_quoted_by_its_first_line_or_sentence(said: str, expected: str):
    assert first_line(ValueError(said)) == expected


def test_a_long_sentence_loses_its_middle():
    found = first_line(ValueError(f"begins here, {_WORDS}ends there"))
    assert found.startswith("begins here")
    assert found.endswith("ends there")
    assert "characters left out" in found
