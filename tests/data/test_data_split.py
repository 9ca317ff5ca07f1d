"""The division into training and held-out prompts."""

import random

import pytest

from rpo_bench.data.row import Row
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
