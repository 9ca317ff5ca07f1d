"""What a judge says doesn't depend on the order in which checkpoints were judged: the same to the bit."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from judge_worlds import write_judged
from tiny_models import SPECIAL, tiny_tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

from rpo_bench.judge.backends.hf import HFJudge
from rpo_bench.judge.card import read_card
from rpo_bench.judge.default_pairs import judge_results
from rpo_bench.judge.prompts import Template
from rpo_bench.judge.storage import judge_folder, stored_replies
from rpo_bench.models.hf import HFModel
from rpo_bench.results.store import read_results

WORDS = ("A", "B", "question", "yes", "no", "maybe", "a", "wolf", "is", "an", "animal")
METHODS = ("reference", "sft", "rpo", "dro", "kto")
PROMPTS = 9

#: Which checkpoints are there when the judge is asked, time after time, and how many calls it takes at once.
ORDERS: dict[str, tuple[tuple[tuple[str, ...], ...], int]] = {
    "one after the other": ((("reference", "sft"), ("rpo",), ("dro",), ("kto",)), 32),
    "the other way round": ((("reference", "sft"), ("kto",), ("dro",), ("rpo",)), 32),
    "two at a time": ((("reference", "sft", "kto"), ("dro", "rpo")), 32),
    "in small batches": ((METHODS,), 3),
}


def texts(method: str) -> list[str]:
    """Answers of many lengths; every third is the same for all but the reference, which is asked once."""
    drawn, shared = random.Random(method), random.Random("all")

    def text(source: random.Random) -> str:
        return " ".join(source.choice(WORDS[2:]) for _ in range(source.randint(1, 30)))

    both = [(text(drawn), text(shared)) for _ in range(PROMPTS)]
    return [same if i % 3 == 0 and method != "reference" else own for i, (own, same) in enumerate(both)]


@pytest.fixture(scope="module")
def model() -> HFModel:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(SPECIAL) + len(WORDS), hidden_size=32, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=256, initializer_range=0.5,
        pad_token_id=0, eos_token_id=1, bos_token_id=3,
    )  # fmt: skip
    return HFModel(LlamaForCausalLM(config).eval(), tiny_tokenizer(append_eos=False, words=WORDS))


def judged(root: Path, model: HFModel, order: tuple[tuple[str, ...], ...], size: int) -> dict[str, Any]:
    """All that comes of judging in an order: replies by key, metrics by cell, the card."""
    judge = HFJudge(model, Template("t", "{prompt} {first} {second}"), "c" * 64, batch_size=size)
    for methods in order:
        write_judged(root, {method: texts(method) for method in methods})
        judge_results(root, read_results([root]).records, judge, prompts=PROMPTS)
    folder = judge_folder(root, judge)
    replies = stored_replies(folder).items()
    return {
        "replies": {key: [one.label_logps for one in reply.attempts] for key, reply in replies},
        "metrics": {s.record.spec.name: s.record.metrics for s in read_results([root]).records},
        "card": read_card(folder),
        "verdicts": (folder / "verdicts.jsonl").read_bytes(),
    }


@pytest.mark.parametrize("order", ORDERS)
def test_the_order_of_judging_changes_no_bit(tmp_path: Path, model: HFModel, order: str):
    at_once = judged(tmp_path / "at once", model, (METHODS,), 32)
    assert len({logps for reply in at_once["replies"].values() for logps in reply}) > PROMPTS
    assert judged(tmp_path / "in order", model, *ORDERS[order]) == at_once
