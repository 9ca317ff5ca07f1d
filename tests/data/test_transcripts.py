"""Dialogues as text become conversations, for chat templates."""

import pytest

from rpo_bench.data.conversation import Conversation, Turn
from rpo_bench.data.transcripts import conversation_of

TEXT = "\n\nHuman: Why?\n\nAssistant: So.\n\nNo more.\n\nHuman: And then?\n\nAssistant:"


def test_turns_keep_their_paragraphs():
    found = conversation_of(TEXT)
    assert isinstance(found, Conversation)
    assert found.turns == (
        Turn("user", "Why?"), Turn("assistant", "So.\n\nNo more."), Turn("user", "And then?"),
    )  # fmt: skip


def test_a_single_question_is_its_text():
    found = conversation_of("Human: Why?\n\nAssistant:")
    assert (found, type(found)) == ("Why?", str)


@pytest.mark.parametrize(
    "text",
    [
        "Why?",
        "A story.\n\nHuman: Why?\n\nAssistant:",  # something comes before
        "\n\nHuman: Why?",  # nobody is about to answer
        "\n\nAssistant: So.\n\nAssistant:",  # no question
        "\n\nHuman: \n\nAssistant:",  # an empty one
        "\n\nHuman: Why?\n\nAssistant: So",  # the answer has begun
        "\n\nHuman:\n\nAssistant: x\n\nHuman: y\n\nAssistant:",
    ],
)
def test_anything_else_stays_as_it_is(text):
    assert conversation_of(text) is text


def test_turns_of_one_speaker_on_end_are_one():
    """Templates refuse roles that don't alternate, and HH-RLHF has such dialogues."""
    found = conversation_of("\n\nHuman: What?\n\nHuman: Why?\n\nAssistant: So.\n\nHuman: Oh.\n\nAssistant:")
    assert found.turns[0] == Turn("user", "What?\n\nWhy?")
    assert [turn.role for turn in found.turns] == ["user", "assistant", "user"]
    assert (
        conversation_of("Human: a\n\nAssistant: b\n\nAssistant:") == "Human: a\n\nAssistant: b\n\nAssistant:"
    )
