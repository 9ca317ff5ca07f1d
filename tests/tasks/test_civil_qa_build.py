"""The world is rebuilt from its seed, byte for byte."""

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
    """14 topics of 3 domains with 6 types: 252 questions; 36 held out, 8 probes, 208 to train on."""
    prompts = split_prompts(seed, Scale())
    keys = [{(p.metadata["topic"], p.metadata["type"]) for p in part} for part in
            (prompts.train, prompts.heldout, prompts.probe)]  # fmt: skip
    assert [len(part) for part in keys] == [208, 36, 8]
    assert len(set.union(*keys)) == 252
    assert len({topic for topic, _ in keys[1]}) == 36
    assert len({p.prompt_id for p in prompts.all}) == 1008
