"""The world is rebuilt from its seed, byte for byte."""

from collections import Counter

import numpy as np
import pytest

from rpo_bench.data.readers import read_rows
from rpo_bench.files.hashing import hash_file
from tasks.civil_qa.build import _ARCHITECTURES, Scale, build, build_policies, split_prompts

TINY = Scale(topics=3, texts=2, steps=4, responses=2, reference=2, oracle=2, hidden_size=16)


def contents(folder):
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): hash_file(file) for file in files}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    build(folder, 3, TINY)
    return folder


def test_everything_is_built(world):
    names = {name for name in contents(world) if not name.startswith("models/")}
    assert names == {
        "prompts/heldout.jsonl",
        "prompts/tuning.jsonl",
        "prompts/probe.jsonl",
        *(f"data/{v}_policy-{m}.jsonl.gz" for v in ("on", "off") for m in ("decoder", "encoder-decoder")),
        "reference/decoder.npz",
        "reference/encoder-decoder.npz",
    }
    for model in ("decoder", "encoder-decoder"):
        assert (world / "models" / model / "model.safetensors").is_file()


def test_same_seed_same_bytes(world, tmp_path):
    build(tmp_path, 3, TINY)
    assert contents(tmp_path) == contents(world)


def test_another_seed_gives_another_world(world, tmp_path, monkeypatch):
    """One architecture stands for both."""
    monkeypatch.delitem(_ARCHITECTURES, "encoder-decoder")
    build_policies(tmp_path, 4, TINY)
    first = contents(world)
    same = {name for name, digest in contents(tmp_path).items() if first[name] == digest}
    assert not any(name.startswith(("data/", "reference/", "prompts/")) for name in same)


def test_a_barely_trained_policy_gives_usable_rows(world):
    """Its samples are word salad, mostly cut at the limit: rows are those that end, scored like any other."""
    rows = read_rows(world / "data/on_policy-decoder.jsonl.gz")
    assert all(row.response for row in rows)
    assert np.mean([row.metadata["gold"] for row in rows]) < -0.8


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_questions_are_dealt_out_once(seed):
    """72 topics with 6 questions each: 144 held out, 72 to tune by, 8 probes, 208 to train on."""
    prompts = split_prompts(seed, Scale())
    parts = (prompts.train, prompts.heldout, prompts.tuning, prompts.probe)
    keys = [{(p.metadata["topic"], p.metadata["type"]) for p in part} for part in parts]
    assert [len(part) for part in keys] == [208, 144, 72, 8]
    assert len(set.union(*keys)) == 432
    assert len({p.prompt_id for p in prompts.all}) == 1728


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_topic_and_every_type_is_measured_alike(seed):
    """Each topic is held out in two types and tuned by in one; each type by 8 topics and 4."""
    prompts = split_prompts(seed, Scale())
    for part, of_topic, of_type in ((prompts.heldout, 2, 8), (prompts.tuning, 1, 4)):
        keys = {(p.metadata["topic"], p.metadata["type"]) for p in part}
        assert set(Counter(topic for topic, _ in keys).values()) == {of_topic}
        assert set(Counter(kind for _, kind in keys).values()) == {of_type}
