"""The whole chain on a model of every family: trained by every method, evaluated, compared, offline."""

import json
from pathlib import Path

import pytest
from family_models import CHAT, FAMILIES, TEXTS, family
from run_cli import SMALL, invoke, stored

from rpo_bench.methods import METHODS

TOPICS = ("river", "city", "house", "cat", "dog", "green garden", "big house", "big cat")
ANSWERS = (("it is good thanks .", 1.0), ("no stupid idiot .", -1.0), ("maybe yes .", 0.3))
REWARD = (
    "def f(prompts, responses):\n    return [len(set(r.split())) - r.count('s') / 4 for r in responses]\n"
)

#: Of every kind: imitation, labels, a value network, a partition, pairs, groups, a critic.
SOME = {"llama": "sft,kto", "t5": "dro,rpo,grpo", "qwen3": "dpo,popo", "gpt2": "rpo", "bart": "kto"}
EVERY = tuple(METHODS)  # now, as other tests may bring methods of their own
WHOLE = ("llama", "t5")  # one of either architecture learns by every method
OTHERS = tuple(kind for kind in FAMILIES if kind not in WHOLE)


def turn(kind: str) -> str:
    """The methods that a family learns by: the others share them, each takes every third from its own on."""
    return ",".join(EVERY if kind in WHOLE else EVERY[OTHERS.index(kind) % 3 :: 3])


@pytest.fixture
def around(tmp_path: Path) -> Path:
    """A folder with rows to learn from and a reward for online methods."""
    rows = [
        {
            "prompt": f"what is the {topic} ?", "response": answer, "reward": reward,
            "reference_rewards": [0.0, 0.5, 1.0, -1.0],
        }
        for topic in TOPICS for answer, reward in ANSWERS
    ]  # fmt: skip
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "reward.py").write_text(REWARD)
    return tmp_path


def run(around: Path, folder: Path, methods: str, *more: str) -> None:
    """``train-and-eval`` on one model, as short as can be."""
    arguments = [
        "train-and-eval", "--model", folder, "--data", around / "rows.jsonl", "--methods", methods,
        "--output-path", around / "out", "--reward", f"python:{around / 'reward.py'}:f", "--toxicity", "none",
        "--gen-kwargs", "max_new_tokens=6", *SMALL, "--batch-size", "8", "--strengths", "1", *more,
    ]  # fmt: skip
    if folder.name in CHAT:
        arguments += ["--prompt-format", "chat"]
    done = invoke(*arguments)
    assert done.exit_code == 0, done.output


def check(around: Path, kind: str, methods: str) -> None:
    """Every cell is there and measured, against a reference whose KL to itself is none."""
    records = {s.record.spec.method.name: s.record for s in stored(around / "out")}
    assert set(records) == {"reference", *methods.split(",")}
    for name, record in records.items():
        assert record.status == "completed"
        assert record.architecture == ("encoder-decoder" if kind in ("t5", "bart") else "decoder")
        assert (record.spec.prompt_format is None) == (kind not in CHAT)
        assert record.metrics["reward"].scored == record.metrics["kl"].scored > 0
        kl = record.metrics["kl"].interval.point
        assert (kl == 0) if name == "reference" else (abs(kl) < 5)


@pytest.mark.parametrize("kind", SOME)
def test_a_model_of_the_family_is_trained_and_measured(around: Path, kind: str):
    run(around, family(kind, around / kind), SOME[kind])
    check(around, kind, SOME[kind])


def test_a_checkpoint_of_a_chat_model_is_evaluated_as_it_was_trained_and_compared(around: Path):
    folder = family("qwen2", around / "qwen2")
    run(around, folder, "sft,grpo")
    (checkpoint,) = (
        file.parent / "checkpoint"
        for file in (around / "out/work").rglob("fit.json")
        if "name: grpo" in (file.parent / "spec.yaml").read_text()
    )
    tasks = next((around / "out/work/tasks").iterdir())
    reward = f"python:{around / 'reward.py'}:f"
    measured = [
        "eval", checkpoint, "--task", tasks, "--reward", reward, "--toxicity", "none", "--n-samples", "2",
        "--gen-kwargs", "max_new_tokens=6", "--output-path", around / "again",
    ]  # fmt: skip
    done = invoke(*measured)
    assert done.exit_code == 0, done.output
    first = {s.record.spec.method.name: s.record for s in stored(around / "out")}
    again = {s.record.spec.method.name: s.record for s in stored(around / "again")}
    assert again["grpo"].hashes["samples"] == first["grpo"].hashes["samples"]
    assert again["grpo"].spec.prompt_format == first["grpo"].spec.prompt_format
    done = invoke("compare", around / "out" / "results", "--resamples", "200")
    assert done.exit_code == 0, done.output


@pytest.mark.slow
@pytest.mark.parametrize("kind", FAMILIES)
def test_every_family_learns_by_methods_and_every_method_on_families(around: Path, kind: str):
    """Nothing but a model's architecture is told apart by methods, so that pairs need not all be run."""
    methods = turn(kind)
    run(around, family(kind, around / kind), methods, "--steps", "1", "--probe-every", "0", "--limit", "1")
    check(around, kind, methods)
    done = invoke("compare", around / "out" / "results", "--resamples", "200")
    assert done.exit_code == 0, done.output


def test_the_texts_are_those_that_the_tokenizers_know():
    words = {word for text in TEXTS for word in text.split()}
    assert {word for answer, _ in ANSWERS for word in answer.split()} <= words
