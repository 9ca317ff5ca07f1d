"""Records that hold messages: as TRL has them, whole conversations, and what is wrong with others."""

import json
from pathlib import Path
from typing import Any

import pytest

from rpo_bench.data.conversation import Conversation, Turn
from rpo_bench.data.fields import BadRecordError
from rpo_bench.data.readers import read_rows
from rpo_bench.data.row import Prompt, Row
from rpo_bench.data.shapes import rows_of
from rpo_bench.data.sources import Record

SYSTEM, WHY, SO, REALLY = (
    {"role": role, "content": said}
    for role, said in (("system", "Be kind."), ("user", "Why?"), ("assistant", "So."), ("user", "Really?"))
)
YES, NO = ({"role": "assistant", "content": said} for said in ("Yes.", "No."))
TALK = [SYSTEM, WHY, SO, REALLY]


def read(value: dict[str, Any], **more: Any) -> list[tuple[Any, str, float]]:
    rows = rows_of(Record(1, "line", value, **more), "f")
    return [(getattr(row.prompt, "messages", row.prompt), row.response, row.reward) for row in rows]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"messages": [WHY, YES], "reward": 2}, [("Why?", "Yes.", 2.0)]),
        ({"messages": [*TALK, YES], "reward": 2}, [(TALK, "Yes.", 2.0)]),
        ({"messages": [*TALK, YES], "label": False}, [(TALK, "Yes.", 0.0)]),
        ({"prompt": TALK, "response": "Yes.", "reward": 2}, [(TALK, "Yes.", 2.0)]),
        ({"prompt": TALK, "completion": [YES], "label": True}, [(TALK, "Yes.", 1.0)]),
        ({"prompt": "Why?", "completion": "Yes.", "label": False}, [("Why?", "Yes.", 0.0)]),
        ({"prompt": [WHY], "chosen": [YES], "rejected": [NO]}, [("Why?", "Yes.", 1.0), ("Why?", "No.", 0.0)]),
        ({"prompt": TALK, "chosen": "Yes.", "rejected": "No."}, [(TALK, "Yes.", 1.0), (TALK, "No.", 0.0)]),
        ({"chosen": [*TALK, YES], "rejected": [*TALK, NO]}, [(TALK, "Yes.", 1.0), (TALK, "No.", 0.0)]),
        (
            {"prompt": TALK, "chosen": [*TALK, YES], "rejected": [*TALK, NO]},
            [(TALK, "Yes.", 1.0), (TALK, "No.", 0.0)],
        ),
        (  # as UltraFeedback has them: the prompt as text beside whole conversations, and one of those again
            {"prompt": "Why?", "chosen": [WHY, YES], "rejected": [WHY, NO], "messages": [WHY, YES]},
            [("Why?", "Yes.", 1.0), ("Why?", "No.", 0.0)],
        ),
        ({"prompt": TALK, "responses": [{"text": "Yes.", "reward": 2}]}, [(TALK, "Yes.", 2.0)]),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "Why?"}]}, YES], "reward": 1},
            [("Why?", "Yes.", 1.0)],
        ),
    ],
)
def test_messages_are_read_as_they_are(value: dict[str, Any], expected: list[tuple[Any, str, float]]):
    assert read(value) == expected
    nulls = {"chosen": None, "rejected": None, "responses": None, "completion": None, "messages": None}
    assert read({**nulls, **value}) == expected, "a column that is null everywhere else is no other shape"


@pytest.mark.parametrize("spell", [json.dumps, str], ids=["json", "as pandas writes it"])
def test_a_cell_of_a_text_file_may_spell_messages(spell):
    value = {"prompt": spell(TALK), "chosen": spell([YES]), "rejected": spell([NO])}
    assert read(value, textual=True) == [(TALK, "Yes.", 1.0), (TALK, "No.", 0.0)]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"messages": TALK, "reward": 1}, "'messages' has the turns user after the prompt"),
        ({"prompt": [WHY, SO], "response": "Yes.", "reward": 1}, "last turn of 'prompt' before the response"),
        ({"prompt": TALK, "completion": [YES, WHY, NO], "label": 1}, "turns assistant, user, assistant"),
        (
            {"messages": [{"from": "human", "value": "Why?"}], "reward": 1},
            "has from, value, but must be a message",
        ),
        ({"messages": [WHY, {**YES, "tool_calls": [1]}], "reward": 1}, "has 'tool_calls'"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image"}]}, YES], "reward": 1},
            "parts that aren't text",
        ),
        ({"prompt": "Who?", "chosen": [WHY, YES], "rejected": [WHY, NO]}, "'prompt' isn't a turn"),
        (
            {"prompt": "Why?", "chosen": [YES], "rejected": "No."},
            "'rejected' is the text 'No.', but must be mess",
        ),
        ({"prompt": [{**WHY, "content": " "}], "response": "Yes.", "reward": 1}, "'prompt' is empty"),
        ({"messages": "Why?", "reward": 1}, "but must be a list of messages"),
        ({"prompt": "Why?", "completion": "So.", "label": "spam"}, "'reward' is missing, and 'label' is the"),
    ],
)
def test_other_messages_are_refused_in_one_sentence(value: dict[str, Any], said: str):
    with pytest.raises(BadRecordError) as raised:
        read(value)
    assert said in str(raised.value)


def test_a_label_beside_a_reward_is_no_label_of_ours():
    (row,) = rows_of(
        Record(1, "line", {"prompt": "Why?", "response": "So.", "reward": 1, "label": "spam"}), "f"
    )
    assert (row.label, row.metadata) == (None, {"label": "spam"})


def test_a_conversation_is_no_text_that_reads_like_it():
    talk = Conversation(Turn(**one) for one in TALK)
    assert talk == Conversation(talk.turns)
    assert talk != str(talk)
    assert str(talk) != talk
    assert len({talk: 1, str(talk): 2}) == 2
    ids = {
        row.prompt_id for row in rows_of(Record(1, "line", {"prompt": TALK, "response": "", "reward": 1}), "")
    }
    (text,) = rows_of(Record(1, "line", {"prompt": str(talk), "response": "", "reward": 1}), "")
    assert text.prompt_id not in ids


def test_a_conversation_is_kept_as_messages_and_comes_back_with_its_turns():
    talk = Conversation(Turn(**one) for one in TALK)
    prompt = Prompt(prompt_id="a", text=talk)
    assert json.loads(prompt.model_dump_json())["text"] == TALK
    assert Prompt.model_validate_json(prompt.model_dump_json()).text == talk
    row = Row(prompt=talk, response="", reward=1, prompt_id="a")
    assert Row(**row.model_dump()) == row


@pytest.mark.parametrize("name", ["pair", "preferred", "label_rule", "source", "group", "prompt_text"])
def test_no_name_of_a_users_column_means_anything_to_us(tmp_path: Path, name: str):
    lines = [{"prompt": p, "response": r, "reward": k, name: p} for p in "ab" for k, r in enumerate("xyz")]
    (tmp_path / "f.jsonl").write_text("\n".join(map(json.dumps, lines)))
    rows = read_rows(tmp_path / "f.jsonl")
    assert {row.metadata[name] for row in rows} == {"a", "b"}
    assert all(row.pair is None and row.label is None for row in rows)
