"""The three shapes of scored responses, and the sentence for each thing that can be wrong with a record."""

import datetime
import json
import re
from decimal import Decimal
from pathlib import Path

import pytest

from rpo_bench.data.fields import BadRecordError
from rpo_bench.data.shapes import common_prompt, prompt_id_of, rows_of
from rpo_bench.data.sources import Record


def rows(value, **more):
    return rows_of(Record(7, "line", value, **more), "rows.jsonl")


def reason(value, **more):
    with pytest.raises(BadRecordError) as raised:
        rows(value, **more)
    return str(raised.value)


FLAT = {"prompt": "Why?", "response": "So.", "reward": 1}


class TestFlat:
    def test_is_one_row_that_knows_its_place(self):
        (row,) = rows(FLAT)
        assert (row.prompt, row.response, row.reward) == ("Why?", "So.", 1.0)
        assert row.prompt_id == prompt_id_of("Why?")
        assert row.source == "rows.jsonl line 7"
        assert "source" not in row.model_dump()

    def test_keeps_what_it_does_not_interpret(self):
        extra = {
            "annotator": "A",
            "day": datetime.date(2024, 2, 3),
            "cost": Decimal("0.10"),
            "noise": float("nan"),
        }
        (row,) = rows({**FLAT, **extra, "metadata": {"topic": "tea", "annotator": "B"}})
        expected = {"annotator": "B", "day": "2024-02-03", "cost": "0.10", "noise": None, "topic": "tea"}
        assert row.metadata == expected

    def test_has_optional_fields(self):
        given = {"prompt_id": 12, "split": "test", "behaviour_logp": -3.5, "reference_rewards": [0, 1.5]}
        (row,) = rows({**FLAT, **given})
        assert (row.prompt_id, row.split, row.behaviour_logp) == ("12", "test", -3.5)
        assert row.reference_rewards == (0.0, 1.5)

    def test_an_empty_response_is_a_response(self):
        assert rows({**FLAT, "response": ""})[0].response == ""

    def test_of_a_text_file_has_its_numbers_as_text_and_nothing_for_empty_cells(self):
        cells = {
            "prompt": "Why?",
            "response": "",
            "reward": " -1e-3 ",
            "split": "",
            "prompt_id": "",
            "metadata": "",
        }
        (row,) = rows({**cells, "reference_rewards": "[1, 2]", "behaviour_logp": ""}, textual=True)
        assert (row.response, row.reward, row.split, row.behaviour_logp) == ("", -0.001, None, None)
        assert row.reference_rewards == (1.0, 2.0)
        assert row.prompt_id == prompt_id_of("Why?")

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ({"prompt": None}, "'prompt' is missing"),
            ({"prompt": " \n"}, "'prompt' is empty"),
            ({"prompt": 3}, "'prompt' is the number 3, but must be text"),
            ({"prompt": "half \ud83d"}, "'prompt' has half a surrogate pair at character 6"),
            ({"response": None}, "'response' is missing"),
            ({"response": ["a"]}, "'response' is a list, but must be text"),
            ({"reward": None}, "'reward' is missing"),
            ({"reward": "1.5"}, "'reward' is the text '1.5', but must be a number"),
            ({"reward": True}, "'reward' is true, but must be a number: write 1 and 0"),
            ({"reward": float("nan")}, "'reward' is nan, it must be finite"),
            ({"reward": float("-inf")}, "'reward' is -inf, it must be finite"),
            ({"reward": 10**400}, "'reward' is inf, it must be finite"),
            ({"reward": {"score": 1}}, "'reward' is an object, but must be a number"),
            ({"prompt_id": [1]}, "'prompt_id' is a list, but must be a text or a whole number"),
            ({"split": 1}, "'split' is the number 1, but must be a text"),
            ({"metadata": "x"}, "'metadata' is the text 'x', but must be an object"),
            ({"reference_rewards": []}, "'reference_rewards' is a list, but must be a list of numbers"),
            (
                {"reference_rewards": [1, "x"]},
                "'reference_rewards[1]' is the text 'x', but must be a number",
            ),
            ({"behaviour_logp": "x"}, "'behaviour_logp' is the text 'x', but must be a number"),
        ],
    )
    def test_with_a_mistake_names_the_field(self, change, sentence):
        assert reason({**FLAT, **change}) == sentence

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ({"reward": ""}, "'reward' is missing"),
            ({"reward": "0,5"}, "'reward' is '0,5', not a number"),
            ({"reward": "nan"}, "'reward' is nan, it must be finite"),
            ({"metadata": "{"}, "'metadata' is '{', not JSON"),
        ],
    )
    def test_of_a_text_file_with_a_mistake_names_the_field(self, change, sentence):
        assert (
            reason({"prompt": "Why?", "response": "So.", "reward": "1", **change}, textual=True) == sentence
        )

    def test_gives_a_row_per_response(self):
        responses = [
            {"text": "A", "reward": 1, "model": "x"},
            {"text": "B", "reward": 2, "behaviour_logp": -1.0},
        ]
        first, second = rows(
            {"prompt": "Why?", "topic": "tea", "responses": responses, "reference_rewards": [3]}
        )
        assert (first.response, first.reward, first.behaviour_logp) == ("A", 1.0, None)
        assert (second.response, second.reward, second.behaviour_logp) == ("B", 2.0, -1.0)
        assert (first.metadata, second.metadata) == ({"topic": "tea", "model": "x"}, {"topic": "tea"})
        assert first.prompt_id == second.prompt_id
        assert first.reference_rewards == second.reference_rewards == (3.0,)

    def test_may_be_stored_by_columns(self):
        by_columns = {"text": ["A", "B"], "reward": [1, 2]}
        assert [(r.response, r.reward) for r in rows({"prompt": "Why?", "responses": by_columns})] == [
            ("A", 1.0),
            ("B", 2.0),
        ]

    @pytest.mark.parametrize(
        ("responses", "sentence"),
        [
            ([], "'responses' is empty"),
            ("A", "'responses' is the text 'A', but must be a list of {text, reward}"),
            (["A"], "'responses[0]' is the text 'A', but must be {text, reward}"),
            ([{"text": "A", "reward": 1}, {"text": "B"}], "'responses[1].reward' is missing"),
            ([{"reward": 1}], "'responses[0].text' is missing"),
            ({"text": ["A"], "reward": []}, "the columns of 'responses' differ in length"),
        ],
    )
    def test_with_a_mistake_names_the_response(self, responses, sentence):
        assert reason({"prompt": "Why?", "responses": responses}) == sentence


class TestPairs:
    def test_with_a_prompt_are_two_rows_that_know_each_other(self):
        chosen, rejected = rows({"prompt": "Why?", "chosen": "So.", "rejected": "No.", "source": "web"})
        assert (chosen.response, chosen.reward, rejected.response, rejected.reward) == (
            "So.",
            1.0,
            "No.",
            0.0,
        )
        assert chosen.metadata == rejected.metadata == {"source": "web"}
        assert chosen.pair == rejected.pair == "7"

    def test_of_whole_dialogues_share_the_beginning(self):
        shared = "\n\nHuman: Hi\n\nAssistant: Ho\n\nHuman: Why?\n\nAssistant:"
        chosen, rejected = rows({"chosen": f"{shared} So.", "rejected": f"{shared} No."})
        assert chosen.prompt == rejected.prompt == shared
        assert (chosen.response, rejected.response) == (" So.", " No.")

    def test_that_part_earlier_are_cut_at_the_last_turn_in_common(self):
        """Both go on in other words after the first answer began: the prompt ends before that answer."""
        chosen = "\n\nHuman: Hi\n\nAssistant: Ho\n\nHuman: Why?\n\nAssistant: So."
        rejected = "\n\nHuman: Hi\n\nAssistant: Hey\n\nHuman: What?\n\nAssistant: No."
        assert common_prompt(chosen, rejected) == "\n\nHuman: Hi\n\nAssistant:"

    def test_of_two_equal_dialogues_end_the_prompt_at_the_last_turn(self):
        dialogue = "\n\nHuman: Hi\n\nAssistant: Ho\n\nHuman: Why?\n\nAssistant: So."
        assert common_prompt(dialogue, dialogue) == dialogue.removesuffix(" So.")

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ({"rejected": None}, "'rejected' is missing"),
            ({"chosen": "Why? So.", "rejected": "Why? No."}, "have no '\\n\\nAssistant:' turn in common"),
            (
                {"chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": "\n\nHuman: c\n\nAssistant: b"},
                "in common",
            ),
            ({"chosen": "\n\nAssistant: b", "rejected": "\n\nAssistant: c"}, "nothing comes before"),
            ({"prompt": ""}, "'prompt' is empty"),
        ],
    )
    def test_with_a_mistake_say_which(self, change, sentence):
        assert sentence in reason({"chosen": "So.", "rejected": "No.", **change})

    def test_of_a_text_file_may_leave_the_prompt_empty(self):
        cells = {
            "prompt": "",
            "chosen": "\n\nHuman: a\n\nAssistant: b",
            "rejected": "\n\nHuman: a\n\nAssistant: c",
        }
        assert rows(cells, textual=True)[0].prompt == "\n\nHuman: a\n\nAssistant:"


def test_an_unknown_shape_lists_the_columns_found_and_the_shapes_accepted():
    sentence = reason({"instruction": "Why?", "output": "So.", "score": 1})
    assert sentence == (
        "it has the columns instruction, output, score, which match none of the shapes "
        "{prompt, response, reward}, {messages, reward}, {prompt, completion, label}, "
        "{prompt, responses: [{text, reward}]} or {chosen, rejected} (+ prompt); name your own columns "
        "with --prompt-column, --response-column, --reward-column and so on"
    )


def test_columns_of_two_shapes_are_not_guessed_about():
    assert "more than one of the shapes" in reason({**FLAT, "chosen": "a", "rejected": "b"})


def test_the_place_says_which_split_of_a_divided_dataset():
    (row,) = rows_of(Record(3, "row", FLAT, split="test"), "hf:name")
    assert (row.source, row.split) == ("hf:name row 3 of split 'test'", "test")


def test_the_examples_of_the_documentation_are_read():
    docs = Path(__file__).parents[2] / "docs" / "data.md"
    (examples,) = re.findall(r"```json\n(.+?)```", docs.read_text(encoding="utf-8"), flags=re.DOTALL)
    found = [[(r.response, r.reward) for r in rows(json.loads(line))] for line in examples.splitlines()]
    so = [("So.", 0.5)]
    assert found[:3] == [so, so, [("So.", 1.0)]]
    assert found[3:] == [[*so, ("No.", -1.0)], [("So.", 1.0), ("No.", 0.0)]]
