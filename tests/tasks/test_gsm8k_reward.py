"""The check of GSM8K's final numbers, on the forms in which models write them."""

from decimal import Decimal

import pytest

from rpo_bench.data.row import Prompt
from tasks.gsm8k.reward import final_number, last_number, right_number, strictly_right_number


def problem(answer="She sold 48/2 = <<48/2=24>>24 clips in May.\n#### 1,042"):
    return Prompt(prompt_id="p", text="Question: How many?\nAnswer:", metadata={"answer": answer})


@pytest.mark.parametrize(
    "response",
    [
        " 48/2 = <<48/2=24>>24\n#### 1042",
        "#### 1,042",
        "####1042",
        "#### $1,042",
        "#### 1042.",
        "#### 1042.00",
        "#### $1,042.00 in all",
        "#### 1042\n\nQuestion: And 7 more?\nAnswer: #### 1049",
        "The answer is 1,042.",
        "So she sold 24 + 1018 = 1042 clips",
        r"\boxed{1042}",
        "**1042**",
        "1042 clips.",
        "#### unknown, perhaps 1042",
    ],
)
def test_right(response):
    assert right_number([problem()], [response]) == [1.0]


@pytest.mark.parametrize(
    "response",
    [
        "",
        "no idea",
        "####",
        "#### 1043",
        "#### -1042",
        "#### 10,42",
        "#### 1043 (not 1042)",
        "1042 in May, 7 in June",
        "1042.5",
        "#### 104.2",
        "#### one thousand and forty-two",
        "#### ١٠٤٢",
        "#### " + "1" * 100_000,
    ],
)
def test_wrong(response):
    assert right_number([problem()], [response]) == [0.0]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("5-3", "3"),  # a difference, not −3
        ("it fell to -3", "-3"),
        ("−3 degrees", "-3"),
        ("-$3", "-3"),
        ("$.50", "0.50"),
        ("1,2,3", "3"),
        ("1,234,567 people.", "1234567"),
        ("25%", "25"),
        ("3.", "3"),
        ("none", None),
    ],
)
def test_the_last_number_of_a_text(text, number):
    assert last_number(text) == (None if number is None else Decimal(number))


def test_only_what_follows_the_mark_is_final():
    assert final_number("7 #### 8 apples, 9 pears") == 8
    assert final_number("7 #### about 8") is None
    assert final_number("7 ### 8") is None


def test_the_strict_check_wants_the_mark():
    some = [problem()] * 3
    responses = ["#### 1042", "The answer is 1042.", "#### 7"]
    assert strictly_right_number(some, responses) == [1.0, 0.0, 0.0]
    assert right_number(some, responses) == [1.0, 1.0, 0.0]


def test_negative_and_decimal_answers():
    assert right_number([problem("#### -5"), problem("#### 2.50")], ["#### -5", "It is 2.5"]) == [1.0, 1.0]
    assert right_number([problem("#### -5")], ["#### 5"]) == [0.0]


@pytest.mark.parametrize("answer", ["", "42", "####", "#### forty"])
def test_without_a_known_answer_nothing_is_scored(answer):
    assert right_number([problem(answer)], ["#### 42"]) == [None]
    assert right_number([Prompt(prompt_id="p", text="?")], ["#### 42"]) == [None]
