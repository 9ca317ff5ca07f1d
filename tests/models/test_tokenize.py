"""Tokenised rows: the tokens of prompt and response, and what becomes of rows that are too long."""

import logging

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from rpo_bench.data.limits import Limits
from rpo_bench.data.row import Row
from rpo_bench.errors import UserError
from rpo_bench.models.tokenize import tokenize_rows
from trainers.pairs import make_pairs

UNK, EOS, BOS = 0, 1, 2
WORDS = [f"w{i}" for i in range(20)]  # w0 is token 3, w1 is 4, …


def tokenizer(template="$A", eos="</s>"):
    """A word-level tokenizer that adds to every text what the template says."""
    vocabulary = {word: i for i, word in enumerate(["<unk>", "</s>", "<s>", *WORDS])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    specials = [("</s>", EOS), ("<s>", BOS)]
    inner.post_processor = processors.TemplateProcessing(single=template, special_tokens=specials)
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token=eos, bos_token="<s>", unk_token="<unk>")


def words(first, n):
    return " ".join(f"w{i}" for i in range(first, first + n))


def row(prompt, response, reward=0.0, **more):
    return Row(prompt=prompt, response=response, reward=reward, prompt_id=prompt, **more)


def tokens_of(rows, template="$A", context=None, is_encoder_decoder=False, **more):
    examples = tokenize_rows(
        rows, tokenizer(template), context, is_encoder_decoder=is_encoder_decoder, **more
    )
    return [(list(p), list(r)) for p, r in zip(examples.prompts, examples.responses, strict=True)]


class TestTokens:
    def test_a_response_ends_with_end_of_sequence_and_has_no_other_special_token(self):
        assert tokens_of([row("w0 w1", "w2 w3")], "<s> $A </s>") == [([BOS, 3, 4], [5, 6, EOS])]

    def test_an_empty_response_is_end_of_sequence_alone(self):
        assert tokens_of([row("w0", "")]) == [([3], [EOS])]

    def test_a_decoders_prompt_does_not_end_but_an_encoders_does(self):
        rows = [row("w0", "w1")]
        assert tokens_of(rows, "$A </s>") == [([3], [4, EOS])]
        assert tokens_of(rows, "$A </s>", is_encoder_decoder=True) == [([3, EOS], [4, EOS])]

    def test_the_columns_of_the_rows_come_along(self):
        rows = [
            row("w0", "w1", 1.0, behaviour_logp=-1.0, reference_rewards=(1.0, 2.0)),
            row("w2", "w3", 3.0, behaviour_logp=-2.0),
            row("w0", "w4", 2.0, behaviour_logp=-3.0, reference_rewards=(1.0, 2.0)),
        ]
        examples = tokenize_rows(rows, tokenizer(), None, is_encoder_decoder=False)
        assert examples.rewards.tolist() == [1.0, 3.0, 2.0]
        assert examples.groups.tolist() == [0, 1, 0]
        assert examples.desirable.tolist() == [False, True, True]
        assert examples.behaviour_logps.tolist() == [-1.0, -2.0, -3.0]
        assert {g: r.tolist() for g, r in examples.reference_rewards.items()} == {0: [1.0, 2.0]}

    def test_behaviour_logps_count_only_when_every_row_has_one(self):
        rows = [row("w0", "w1", behaviour_logp=-1.0), row("w2", "w3")]
        assert tokenize_rows(rows, tokenizer(), None, is_encoder_decoder=False).behaviour_logps is None

    def test_a_tokenizer_that_knows_few_of_the_words_is_warned_of(self, caplog):
        """Of the four tokens w0, unknown, unknown and the end, two are unknown."""
        with caplog.at_level(logging.WARNING):
            tokens_of([row("w0", "unheard of")])
        assert "50 % of the data's tokens are unknown to this tokenizer." in caplog.text

    def test_a_tokenizer_without_an_end_is_refused(self):
        with pytest.raises(UserError, match="no end-of-sequence token"):
            tokenize_rows([row("w0", "w1")], tokenizer(eos=None), None, is_encoder_decoder=False)


class TestTooLong:
    """Contexts of 8 tokens; the second row has 6 of prompt and, with its end, 4 of response."""

    rows = (
        row("w0 w1", "w2", 1.0, source="rows.jsonl line 1"),
        row(words(0, 6), words(10, 3), 2.0, source="rows.jsonl line 2", behaviour_logp=-1.0),
        row("w5", "w6", 3.0, source="rows.jsonl line 3"),
    )

    def test_is_an_error_that_counts_and_names_the_first_row(self):
        with pytest.raises(UserError) as raised:
            tokens_of(self.rows, context=8)
        assert str(raised.value) == (
            "1 of 3 rows are longer than the model's context of 8 tokens; the first is rows.jsonl line 2 "
            "(6 tokens of prompt, 4 of response): pass --truncate to cut prompts on the left and responses "
            "on the right, or --drop-long to leave such rows out."
        )

    def test_fits_to_the_token(self):
        assert len(tokens_of(self.rows, context=10)) == 3

    def test_an_encoder_decoder_has_the_context_for_each(self):
        assert len(tokens_of(self.rows, context=6, is_encoder_decoder=True)) == 3
        with pytest.raises(UserError, match="context of 5 tokens"):
            tokens_of(self.rows, context=5, is_encoder_decoder=True)

    def test_can_be_left_out(self, caplog):
        with caplog.at_level(logging.WARNING):
            examples = tokenize_rows(self.rows, tokenizer(), 8, is_encoder_decoder=False, long="drop")
        assert examples.rewards.tolist() == [1.0, 3.0]
        assert examples.groups.tolist() == [0, 1]
        assert "1 rows didn't fit the model's context and were left out." in caplog.text

    def test_must_leave_something(self):
        with pytest.raises(UserError, match="All 3 rows are longer"):
            tokens_of(self.rows, context=1, long="drop")

    def test_can_be_cut_to_the_prompts_end_and_the_responses_beginning(self):
        """The response's 4 tokens fit beside half the context; the prompt keeps its last 4."""
        cut = tokens_of(self.rows, context=8, long="truncate")
        assert cut[0] == ([3, 4], [5, EOS])
        assert cut[1] == ([5, 6, 7, 8], [13, 14, 15, EOS])

    def test_a_long_response_loses_its_end_and_leaves_half_the_context_to_the_prompt(self):
        (cut,) = tokens_of([row(words(0, 6), words(6, 9))], context=8, long="truncate")
        assert cut == ([5, 6, 7, 8], [9, 10, 11, 12])

    def test_a_short_prompt_stays_whole_beside_a_long_response(self):
        (cut,) = tokens_of([row("w0 w1", words(2, 9))], context=8, long="truncate")
        assert cut == ([3, 4], [5, 6, 7, 8, 9, 10])

    def test_a_beginning_of_sequence_stays_in_front(self):
        (cut,) = tokens_of([row(words(0, 6), words(10, 3))], "<s> $A", context=8, long="truncate")
        assert cut == ([BOS, 6, 7, 8], [13, 14, 15, EOS])

    def test_an_encoders_end_of_sequence_stays(self):
        (cut,) = tokens_of([row(words(0, 6), "w9")], "$A </s>", 4, is_encoder_decoder=True, long="truncate")
        assert cut == ([6, 7, 8, EOS], [12, EOS])

    def test_the_log_prob_of_an_uncut_response_is_not_that_of_a_cut_one(self):
        rows = [row(words(0, 2), words(2, 9), behaviour_logp=-1.0), row("w0", "w1", behaviour_logp=-1.0)]
        examples = tokenize_rows(rows, tokenizer(), 8, is_encoder_decoder=False, long="truncate")
        assert examples.behaviour_logps is None

    def test_a_limit_for_responses_is_named_as_such(self):
        with pytest.raises(UserError, match="longer than the limit of 3 tokens for a response"):
            tokens_of(self.rows, max_response_tokens=3)
        cut = tokens_of(self.rows, max_response_tokens=3, long="truncate")
        assert cut[1] == ([3, 4, 5, 6, 7, 8], [13, 14, 15])


@pytest.mark.parametrize("is_encoder_decoder", [False, True])
def test_whatever_is_kept_fits_and_kept_sizes_are_stable(is_encoder_decoder):
    """Over all small sizes: cutting obeys the context, grows nothing, and done again changes nothing."""
    for context in range(2, 9):
        limits = Limits(context, 5, is_encoder_decoder)
        for prompt, response in np.ndindex(12, 12):
            kept_prompt, kept_response = limits.kept(prompt + 1, response + 1)
            assert 1 <= kept_prompt <= prompt + 1
            assert 1 <= kept_response <= min(response + 1, 5)
            total = max(kept_prompt, kept_response) if is_encoder_decoder else kept_prompt + kept_response
            assert total <= context
            assert limits.kept(kept_prompt, kept_response) == (kept_prompt, kept_response)
            assert limits.fits(kept_prompt, kept_response)


def test_rows_whose_partner_is_left_out_are_counted(caplog):
    """Two pairs of one prompt; the first loses its better response, which is too long."""
    rows = [
        Row(prompt="w1", response=words(0, n), reward=reward, prompt_id="a", pair=pair)
        for n, reward, pair in ((9, 1.0, "1"), (1, 0.0, "1"), (2, 1.0, "2"), (1, 0.0, "2"))
    ]
    with caplog.at_level(logging.WARNING):
        found = tokenize_rows(rows, tokenizer(), 6, is_encoder_decoder=False, long="drop")
    assert make_pairs(found, "best_worst").tolist() == [[1, 2]]
    assert "1 rows of preference pairs have lost the other response of their pair" in caplog.text
