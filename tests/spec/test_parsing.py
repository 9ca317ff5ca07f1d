"""How the text of flags is read."""

import pytest

from rpo_bench.errors import UserError
from rpo_bench.spec.parsing import parse_decoding, parse_methods, parse_seeds, parse_strengths
from rpo_bench.spec.sections import RPO_PAPER_DECODING, Decoding, MethodSpec


def test_methods_with_and_without_options():
    assert parse_methods("sft, rpo(partition=leave_one_out,logp=mean),kto") == [
        MethodSpec(name="sft"),
        MethodSpec(name="rpo", options={"partition": "leave_one_out", "logp": "mean"}),
        MethodSpec(name="kto"),
    ]


@pytest.mark.parametrize("text", ["rpo(", "rpo(tau)", "rpo)(", "sft,,rpo", "", "rpo(tau=)"])
def test_methods_that_are_not_understood(text):
    with pytest.raises(UserError, match="--methods"):
        parse_methods(text)


def test_strengths_by_method_and_for_all():
    assert parse_strengths("rpo=0.3,1; kto=0.1") == {"rpo": [0.3, 1.0], "kto": [0.1]}
    assert parse_strengths("0.1,0.2") == {"*": [0.1, 0.2]}
    assert parse_strengths("rpo(partition=leave_one_out)=0.3") == {"rpo(partition=leave_one_out)": [0.3]}


@pytest.mark.parametrize("text", ["rpo=", "rpo=x", ""])
def test_strengths_that_are_not_understood(text):
    with pytest.raises(UserError, match="--strengths"):
        parse_strengths(text)


@pytest.mark.parametrize(
    ("text", "seeds"), [("0,1,2", [0, 1, 2]), ("0-4", [0, 1, 2, 3, 4]), ("3,1-2,3", [3, 1, 2])]
)
def test_seeds(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "a", "-1", "1-", "4-2", "1.5"])
def test_seeds_that_are_not_understood(text):
    with pytest.raises(UserError, match="--seeds"):
        parse_seeds(text)


def test_decoding_goes_over_what_is_below():
    below = {"max_new_tokens": 9}
    read = Decoding.model_validate(parse_decoding("temperature=0.7,top_k=50", below))
    assert read == Decoding(temperature=0.7, top_k=50, max_new_tokens=9)
    paper = Decoding.model_validate(parse_decoding("preset=rpo-paper,top_k=5", below))
    assert paper == RPO_PAPER_DECODING.model_copy(update={"top_k": 5, "max_new_tokens": 9})
    assert Decoding.model_validate(parse_decoding("max_gen_toks=3", below)).max_new_tokens == 3


@pytest.mark.parametrize("text", ["temperature", "preset=greedy", "=1"])
def test_decoding_that_is_not_understood(text):
    with pytest.raises(UserError, match="--gen-kwargs"):
        parse_decoding(text, {})
