"""The character tokenizer: every character of the data is a token, and text comes back as it was."""

import pytest

from rpo_bench.errors import UserError
from rpo_bench.models.base_tokenizer import train_tokenizer

TEXTS = ["12+34=", "64", "a b\n(é)"]


@pytest.mark.parametrize(
    ("architecture", "around"),
    [("decoder", (["<bos>"], ["<sep>"])), ("encoder-decoder", ([], ["<eos>"]))],
)
def test_each_character_is_a_token(architecture, around):
    tokenizer = train_tokenizer(TEXTS, architecture, "character")
    before, after = around
    ids = tokenizer("4 =1é\n").input_ids
    assert tokenizer.convert_ids_to_tokens(ids) == [*before, "4", " ", "=", "1", "é", "\n", *after]
    special = {"decoder": 5, "encoder-decoder": 3}[architecture]
    assert len(tokenizer) == special + len(set("".join(TEXTS)))


def test_text_comes_back_as_it_was():
    tokenizer = train_tokenizer(TEXTS, "decoder", "character")
    for text in (*TEXTS, " 1  2 ", "((a"):
        ids = tokenizer(text, add_special_tokens=False).input_ids
        assert tokenizer.decode(ids, skip_special_tokens=True) == text


def test_a_character_that_was_never_seen_is_unknown():
    tokenizer = train_tokenizer(TEXTS, "decoder", "character")
    assert tokenizer("7", add_special_tokens=False).input_ids == [tokenizer.unk_token_id]


def test_what_spells_a_special_token_is_read_as_characters():
    tokenizer = train_tokenizer(["<eos>"], "decoder", "character")
    assert tokenizer.eos_token_id not in tokenizer("<eos>", add_special_tokens=False).input_ids


def test_a_vocabulary_without_room_is_one_sentence():
    with pytest.raises(
        UserError, match="--vocab-size 5 is too small: it has no room besides 5 special tokens"
    ):
        train_tokenizer(TEXTS, "decoder", "character", 5)
