"""Dialogues as text become conversations, for chat templates."""

import pytest

from rpo_bench.data.conversation import Conversation, Turn
from rpo_bench.data.row import Prompt, Row
from rpo_bench.data.transcripts import conversation_of, spoken_prompts, spoken_rows

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


def test_rows_lose_the_spaces_around_responses_and_keep_all_else():
    row = Row(prompt_id="p", prompt=TEXT, response=" Then this. ", reward=1.0, pair="3")
    other = row.model_copy(update={"prompt": "Why?"})
    found, same = spoken_rows([row, other])
    assert (found.response, found.reward, found.prompt_id, found.pair) == ("Then this.", 1.0, "p", "3")
    assert len(found.prompt.turns) == 3
    assert same is other


def test_prompts_too():
    (found,) = spoken_prompts([Prompt(prompt_id="p", text=TEXT)])
    assert found.text.turns[-1] == Turn("user", "And then?")
    assert Prompt.model_validate_json(found.model_dump_json()) == found
