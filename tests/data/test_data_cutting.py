"""Cut prompts stay prompts of their format; rows that the cut makes equal don't stay with opposite labels."""

import logging

import pytest
from family_models import family_tokenizer

from rpo_bench.data.conversation import Conversation, Turn
from rpo_bench.data.row import Row
from rpo_bench.errors import UserError
from rpo_bench.models.cutting import _ends, cut_prompt
from rpo_bench.models.prompting import prompt_ids
from rpo_bench.models.tokenize import tokenize_rows
from rpo_bench.spec.sections import PromptFormat

LONG = "what is the river ? " * 8 + "why is it big ?"
FORMATS = [
    ("qwen2", PromptFormat(kind="chat", system="be good", hash="x")),
    ("llama-chat", PromptFormat(kind="chat", system="be good", hash="x")),
    (
        "llama",
        PromptFormat(kind="template", template="<s>Question: {prompt}\nAnswer:{response}</s>", hash="x"),
    ),
    ("t5", PromptFormat(kind="template", template="ask: {prompt} :", hash="x")),
    *((kind, None) for kind in ("gpt2", "llama", "t5", "bart")),
]


def row(prompt: str, response: str = "yes", reward: float = 0.0, name: str = "a") -> Row:
    return Row(prompt=prompt, response=response, reward=reward, prompt_id=name)


@pytest.mark.parametrize(("kind", "form"), FORMATS, ids=lambda v: v if isinstance(v, str) else None)
def test_what_stands_around_a_prompt_outlives_every_cut(kind: str, form: PromptFormat | None):
    """Down to the text's last token the cut prompt is the format around an end of the text, and it fits."""
    tokenizer, is_encoder = family_tokenizer(kind), kind in ("t5", "bart")
    whole = prompt_ids(tokenizer, LONG, is_encoder, form)
    least = len(prompt_ids(tokenizer, "?", is_encoder, form))
    for length in range(least + 1, len(whole) + 1):
        text = cut_prompt(tokenizer, LONG, length, is_encoder, form)
        assert text
        assert LONG.endswith(text)
        cut = prompt_ids(tokenizer, text, is_encoder, form)
        assert length - 4 <= len(cut) <= length  # a token more of the text wouldn't fit
        rows = tokenize_rows(
            [row(LONG)], tokenizer, length + (0 if is_encoder else 2), is_encoder_decoder=is_encoder,
            max_response_tokens=2, long="truncate", prompt_format=form,
        )  # fmt: skip
        assert rows.prompts[0] == cut
    assert cut_prompt(tokenizer, LONG, len(whole), is_encoder, form) == LONG


def test_the_oldest_turns_go_first_and_the_systems_never():
    tokenizer = family_tokenizer("qwen2")
    system, last = Turn("system", "be kind"), Turn("user", "why is it big ?")
    old = [
        Turn("user", "who ?"),
        Turn("assistant", "the cat"),
        Turn("user", "what ?"),
        Turn("assistant", "it"),
    ]

    ends = _ends(tokenizer, Conversation([system, *old, last]))
    assert [one.turns for one in ends[:3]] == [
        (system, *old, last),
        (system, *old[2:], last),
        (system, last),
    ]
    assert all(one.turns[0] == system for one in ends)
    assert all(len(one.turns) == 2 and last.content.endswith(one.turns[1].content) for one in ends[2:])


def test_responses_that_the_cut_makes_equal_are_left_out_and_counted(caplog):
    tokenizer = family_tokenizer("qwen2")
    long = "it is good thanks " * 9
    rows = [
        row("who ?", long + "yes", 1.0),
        row("who ?", long + "no", 0.0),
        row("who ?", "maybe", 0.5),
        row("why ?", long + "yes", 1.0, "b"),
        row("why ?", long + "no", 1.0, "b"),
        row("what ?", "yes", 1.0, "c"),
        row("what ?", "yes", 0.0, "c"),
    ]
    with caplog.at_level(logging.WARNING):
        found = tokenize_rows(rows, tokenizer, 30, is_encoder_decoder=False, long="truncate")
    assert found.rewards.tolist() == [
        0.5,
        1.0,
        1.0,
        1.0,
        0.0,
    ]  # equal rewards, and equal texts, are the data's
    assert "2 rows were left out: after cutting, they are equal" in caplog.text
    with pytest.raises(UserError, match="All 2 rows are equal once they are cut"):
        tokenize_rows(rows[:2], tokenizer, 30, is_encoder_decoder=False, long="truncate")


def test_a_format_without_room_beside_it_is_one_sentence():
    form = PromptFormat(kind="chat", system="be good " * 9, hash="x")
    with pytest.raises(UserError, match="The prompt format alone takes all but one of") as raised:
        tokenize_rows(
            [row(LONG)],
            family_tokenizer("qwen2"),
            40,
            is_encoder_decoder=False,
            long="truncate",
            prompt_format=form,
        )
    assert "\n" not in str(raised.value)
