"""The division into training and held-out prompts."""

import random

import pytest

from rpo_bench.data.row import Row
from rpo_bench.data.shapes import prompt_id_of
from rpo_bench.data.split import split_rows
from rpo_bench.errors import UserError


def row(prompt, i=0, split=None, prompt_id=None):
    name = prompt_id or prompt
    source = f"rows.jsonl line {i}"
    return Row(prompt=prompt, response=f"r{i}", reward=i, prompt_id=name, split=split, source=source)


ROWS = [row(f"p{p}", i) for p in range(100) for i in range(3)]


def prompts(rows):
    return {r.prompt for r in rows}


def test_no_prompt_is_on_both_sides_and_no_row_is_lost():
    split = split_rows(ROWS, 0.2, seed=0)
    assert not prompts(split.train) & prompts(split.test)
    assert len(prompts(split.test)) == 20
    assert len(split.train) == 240
    assert len(split.test) == 60


def test_the_order_of_the_rows_plays_no_part():
    shuffled = random.Random(1).sample(ROWS, len(ROWS))
    assert prompts(split_rows(shuffled, 0.2, 0).test) == prompts(split_rows(ROWS, 0.2, 0).test)


def test_rows_keep_their_order_within_a_side():
    split = split_rows(ROWS, 0.2, seed=0)
    assert split.train == [r for r in ROWS if r.prompt in prompts(split.train)]


def test_the_seed_decides_which_prompts_are_held_out():
    held_out = [frozenset(prompts(split_rows(ROWS, 0.2, seed).test)) for seed in range(10)]
    assert len(set(held_out)) == 10


def test_every_prompt_is_held_out_about_as_often():
    """Binomial(400, 0.2): mean 80, standard deviation 8; beyond 50 … 110 is a chance of about 1e-4 in all."""
    counts = dict.fromkeys(prompts(ROWS), 0)
    for seed in range(400):
        for prompt in prompts(split_rows(ROWS, 0.2, seed).test):
            counts[prompt] += 1
    assert min(counts.values()) > 50
    assert max(counts.values()) < 110


def test_global_generators_are_neither_used_nor_moved():
    import numpy as np

    random.seed(1)
    np.random.seed(1)
    before = random.getstate(), np.random.get_state()[1].tolist()
    split_rows(ROWS, 0.2, 0)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before


@pytest.mark.parametrize("fraction", [0.001, 0.999])
def test_either_side_has_a_prompt_at_least(fraction):
    split = split_rows(ROWS, fraction, 0)
    assert prompts(split.train)
    assert prompts(split.test)


def test_the_rows_own_split_is_honoured():
    rows = [row("a", split="train"), row("b", split="test"), row("c", split="train")]
    split = split_rows(rows, 0.5, 0)
    assert (prompts(split.train), prompts(split.test)) == ({"a", "c"}, {"b"})


def test_rows_without_a_split_are_divided_beside_those_that_have_one():
    rows = [row("a", split="train"), row("b", split="test"), *ROWS]
    split = split_rows(rows, 0.2, 0)
    assert "a" in prompts(split.train)
    assert "b" in prompts(split.test)
    assert len(prompts(split.test)) == 21


def test_one_text_under_two_ids_stays_together():
    rows = [row("same", 1, prompt_id="x"), row("same", 2, prompt_id="y"), *ROWS]
    for seed in range(20):
        split = split_rows(rows, 0.5, seed)
        assert not prompts(split.train) & prompts(split.test)


def test_a_response_without_a_split_follows_its_prompt():
    rows = [row("a", split="test"), row("a"), row("b", split="train")]
    assert len(split_rows(rows, 0.5, 0).test) == 2


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([row("a"), row("a", 1)], "The rows have only one prompt"),
        (
            [row("a", split="train"), row("b", split="train")],
            "puts every prompt in 'train' and none in 'test'",
        ),
        ([row("a", split="test"), row("b", split="test")], "puts every prompt in 'test' and none in 'train'"),
        (
            [row("a", 4, split="dev"), row("b")],
            "rows.jsonl line 4: the split is 'dev', but only 'train' and 'test'",
        ),
        (
            [row("a", 1, split="train"), row("a", 2, split="test"), row("b", 3)],
            "A prompt is in 'test' (rows.jsonl line 2) and in 'train' (rows.jsonl line 1)",
        ),
    ],
)
def test_what_cannot_be_divided_is_one_sentence(rows, sentence):
    with pytest.raises(UserError) as raised:
        split_rows(rows, 0.2, 0)
    assert sentence in str(raised.value)


def spellings(i: int) -> list[str]:
    """One prompt in spellings that a model sees next to the same tokens of."""
    return [
        f"what is number {i} ?",
        f" what  is\tnumber {i} ? ",
        f"What Is Number {i} ?",
        f"what is number {i} ？",
    ]


@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_prompts_that_are_nearly_equal_are_on_one_side(fraction):
    rows = [
        Row(prompt=text, response="", reward=0, prompt_id=prompt_id_of(text))
        for i in range(20)
        for text in spellings(i)
    ]
    split = split_rows(rows, fraction, 0)
    assert {len({row.prompt for row in side if row.prompt in spellings(i)})
            for side in (split.train, split.test) for i in range(20)} == {0, 4}  # fmt: skip
    assert len(split.test) == 4 * round(20 * fraction)
    again = split_rows(rows[::-1], fraction, 0)
    assert {row.prompt for row in again.test} == {row.prompt for row in split.test}, "the order has no say"


def test_a_prompt_like_one_with_a_side_of_its_own_goes_there():
    texts = [(text, "test" if text == spellings(0)[0] else None) for i in range(9) for text in spellings(i)]
    rows = [Row(prompt=t, response="", reward=0, prompt_id=prompt_id_of(t), split=s) for t, s in texts]
    assert {row.prompt for row in split_rows(rows, 0.01, 0).test} == set(spellings(0))


def test_a_division_of_the_datas_own_is_kept_and_said(caplog):
    one, other = spellings(0)[:2]
    rows = [
        Row(prompt=t, response="", reward=0, prompt_id=prompt_id_of(t), split=s)
        for t, s in ((one, "train"), (other, "test"))
    ]
    split = split_rows(rows, 0.5, 0)
    assert ([r.prompt for r in split.train], [r.prompt for r in split.test]) == ([one], [other])
    assert (
        "1 prompts in 'train' differ from prompts in 'test' only in spacing, case or Unicode form"
        in caplog.text
    )
