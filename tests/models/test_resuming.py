"""A base or reward model whose making is killed goes on where it was, to the same bits."""

import json
import subprocess
import sys

import pytest
from run_cli import invoke
from tiny_task import tiny_task

#: The state is kept at every step; the process is killed behind the third.
KILLED = """
import os, signal, sys
import trainers.resuming as resuming
resuming.SAVE_EVERY = 0.0
kept = resuming.Resume.step
def step(self, number, *rest):
    kept(self, number, *rest)
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
resuming.Resume.step = step
from rpo_bench.cli.main import main
main()
"""


@pytest.fixture
def material(tmp_path):
    rows = tmp_path / "rows.jsonl"
    lines = [
        {"prompt": f"what is the {w} ?", "response": f"it is {r}", "reward": float(len(r))}
        for w in ("river", "city", "cat", "dog", "house", "cloud")
        for r in ("good", "so bad", "a big one")
    ]
    rows.write_text("".join(json.dumps(line) + "\n" for line in lines))
    tiny_task(tmp_path / "tiny")
    return rows, tmp_path / "tiny"


def command(verb, material):
    rows, task = material
    few = ["--data", rows, "--steps", "7", "--batch-size", "4"]
    if verb == "base":
        return ["base", *few, "--hidden-size", "16", "--layers", "1"]
    return [
        "reward-model",
        *few,
        "--model",
        next(task.rglob("config.json")).parent,
        "--test-fraction",
        "0.4",
    ]


@pytest.mark.parametrize("verb", ["base", "reward-model"])
def test_what_was_killed_goes_on_to_the_same_bits(verb, material, tmp_path, monkeypatch):
    asked = command(verb, material)
    whole = invoke(*asked, "--out", tmp_path / "whole")
    assert whole.exit_code == 0, whole.output
    words = [*map(str, asked), "--out", str(tmp_path / "killed")]
    done = subprocess.run([sys.executable, "-c", KILLED, *words], capture_output=True, text=True)
    assert done.returncode == -9, done.stderr
    assert [file.name for file in tmp_path.glob(".killed*")] == [".killed.part"]
    steps = []
    from trainers.resuming import Resume

    kept = Resume.step
    monkeypatch.setattr(Resume, "step", lambda self, n, *rest: (steps.append(n), kept(self, n, *rest))[1])
    again = invoke(*asked, "--out", tmp_path / "killed")
    assert again.exit_code == 0, again.output
    assert steps == [4, 5, 6, 7]
    names = ["model.safetensors", *(["training_log.jsonl"] if verb == "reward-model" else [])]
    for name in names:
        one, other = (tmp_path / folder / name for folder in ("whole", "killed"))
        if one.exists():
            assert one.read_bytes() == other.read_bytes(), name
    assert not list(tmp_path.glob(".killed*"))


def test_another_training_does_not_go_on_with_it(material, tmp_path):
    asked = [*map(str, command("base", material)), "--out", str(tmp_path / "killed")]
    subprocess.run([sys.executable, "-c", KILLED, *asked], capture_output=True)
    whole, other = tmp_path / "whole", tmp_path / "killed"
    assert invoke(*command("base", material), "--seed", "1", "--out", whole).exit_code == 0
    assert invoke(*asked, "--seed", "1").exit_code == 0
    assert (whole / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()
