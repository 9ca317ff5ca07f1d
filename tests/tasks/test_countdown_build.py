"""The world is rebuilt from its seed, byte for byte."""

import numpy as np
import pytest

from rpo_bench.files.hashing import hash_file
from tasks.countdown.build import Scale, build, deal
from tasks.verifiable import Samples

TINY = Scale(train=6, heldout=4, probe=2, texts=1, steps=3, hidden_size=16, samples=Samples(2, 3, 4))


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
        "data/on_policy-decoder.jsonl.gz",
        "reference/decoder.npz",
    }
    assert np.load(world / "reference/decoder.npz")["rewards"].shape == (4, 4)
    assert (world / "models/decoder/model.safetensors").is_file()


def test_same_seed_same_bytes(world, tmp_path):
    build(tmp_path, 3, TINY)
    assert contents(tmp_path) == contents(world)


def test_another_seed_holds_out_other_problems():
    first, second = ({*deal(seed, TINY).heldout} for seed in (3, 4))
    assert not first & second
