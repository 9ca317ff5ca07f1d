"""The world is rebuilt from its seed, byte for byte."""

import numpy as np
import pytest

from rpo_bench.data.readers import read_rows
from rpo_bench.files.hashing import hash_file
from tasks.arithmetic.build import Scale, build, deal
from tasks.verifiable import Samples

TINY = Scale(train=6, heldout=4, probe=2, texts=1, steps=3, samples=Samples(2, 3, 4))


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
        *(f"data/on_policy-{model}.jsonl.gz" for model in ("decoder", "encoder-decoder")),
        *(f"reference/{model}.npz" for model in ("decoder", "encoder-decoder")),
    }
    assert len((world / "prompts/heldout.jsonl").read_text().splitlines()) == 4
    for model in ("decoder", "encoder-decoder"):
        assert (world / "models" / model / "model.safetensors").is_file()
        assert np.load(world / f"reference/{model}.npz")["rewards"].shape == (4, 4)


def test_a_barely_trained_policy_gives_usable_rows(world):
    """Its samples are digits at random: rows are those that end, with the verifier's verdict."""
    rows = read_rows(world / "data/on_policy-decoder.jsonl.gz")
    assert {row.reward for row in rows} <= {0.0, 1.0}
    assert all(row.behaviour_logp < 0 for row in rows)
    assert {len(row.reference_rewards) for row in rows} == {3}


def test_same_seed_same_bytes(world, tmp_path):
    build(tmp_path, 3, TINY)
    assert contents(tmp_path) == contents(world)


def test_another_seed_holds_out_other_sums():
    first, second = ({*deal(seed, TINY).heldout} for seed in (3, 4))
    assert not first & second
