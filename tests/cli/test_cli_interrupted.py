"""What is left when a run is killed, stopped by Ctrl-C, or can't write any more."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from run_cli import SMALL, invoke, spawn, stored
from tiny_task import tiny_task

from rpo_bench.methods import METHODS
from rpo_bench.registry import PLUGINS_VARIABLE

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from kill_and_resume import compare, outcomes, start

#: Holds a training in the middle of its second checkpoint, and kills the group as another worker, which waits
#: for that, is about to put the first result in its place.
KILLING = """
import os, re, signal, sys, time
from pathlib import Path

def hook(event, arguments):
    if event == "open" and str(arguments[1]).startswith("w"):
        while re.search(r"/checkpoint-4/trainer_state.json$", str(arguments[0])):
            time.sleep(0.01)
    if event == "os.rename" and str(arguments[1]).endswith("/result.json"):
        while not list(Path(os.environ["OUT"]).glob("work/cells/*/train/partial/checkpoint-4")):
            time.sleep(0.01)
        os.killpg(0, signal.SIGKILL)

sys.addaudithook(hook)
"""
#: A method that doesn't come to an end while a file is there.
HELD = """
import dataclasses, time
from pathlib import Path
from rpo_bench.methods import METHODS
from trainers.sft import SFT

@dataclasses.dataclass(frozen=True)
class Held(SFT):
    def loss(self, batch):
        while Path({gate!r}).exists():
            time.sleep(0.01)
        return super().loss(batch)

METHODS.add("held", Held)
"""


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    root = tmp_path_factory.mktemp("tasks")
    tiny_task(root / "tiny")
    return root


def flags(tasks, *more):
    return ["--task", "tiny", "--include-path", str(tasks), *SMALL, *more]


@pytest.mark.slow
def test_kill_minus_nine_changes_nothing_in_the_end(tasks, tmp_path, monkeypatch):
    """The whole group is killed as one cell trains and another one is recorded, neither of them whole."""
    asked = flags(tasks, "--methods", "dro", "--strengths", "0.5", "--steps", "9", "--save-every", "2")
    killed = tmp_path / "killed"
    (tmp_path / "sitecustomize.py").write_text(KILLING)
    with monkeypatch.context() as there:
        there.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])]))
        there.setenv("OUT", str(killed))
        process = start(killed, asked)
    _, errors = process.communicate(timeout=200)
    assert process.returncode == -signal.SIGKILL, errors
    (training,) = killed.glob("work/cells/*/train")
    assert (training / "partial/checkpoint-2/trainer_state.json").is_file()
    assert not (training / "partial/checkpoint-4/trainer_state.json").exists()
    assert list(killed.glob("work/cells/*/samples-*/samples.jsonl.gz"))
    assert outcomes(killed) == {}
    for name in ("killed", "whole"):
        done = invoke("train-and-eval", "--output-path", tmp_path / name, *asked)
        assert done.exit_code == 0, done.output
    expected = outcomes(tmp_path / "whole")
    assert len(expected) == 2
    assert compare(expected, outcomes(killed)) == []


@pytest.fixture
def held(monkeypatch, tmp_path):
    """The plug-in and its gate."""
    monkeypatch.setattr(METHODS, "_entries", dict(METHODS._entries))
    monkeypatch.setenv(PLUGINS_VARIABLE, "")
    gate = tmp_path / "gate"
    gate.touch()
    (tmp_path / "held.py").write_text(HELD.format(gate=str(gate)))
    return tmp_path / "held.py", gate


def test_ctrl_c_is_one_sentence_and_loses_nothing_that_is_done(tasks, tmp_path, held):
    """Two cells are done and one trains when the signal comes, however fast the machine is."""
    plugin, gate = held
    cells = ("--methods", "sft,held", "--strengths", "2", "--output-path", tmp_path / "out")
    asked = flags(tasks, *cells, "--plugin", plugin)
    process = spawn("train-and-eval", *asked)
    wait_for(lambda: len(list((tmp_path / "out/results").glob("*/*/[!.]*/result.json"))) == 2, process)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=100)
    assert process.returncode == 130
    assert errors.strip() == "Stopped. Run the same command again to continue."
    done = {s.folder: (s.folder / "result.json").stat().st_mtime_ns for s in stored(tmp_path / "out", True)}
    assert len(done) == 2
    gate.unlink()
    again = invoke("train-and-eval", *asked)
    assert again.exit_code == 0
    assert "1 cell done" in again.stderr
    assert "2 were done already" in again.stderr
    assert {f: (f / "result.json").stat().st_mtime_ns for f in done} == done


def test_a_full_disk_is_one_sentence_and_keeps_what_is_done(tasks, tmp_path, small_disk):
    cells = ("--methods", "sft", "--strengths", "2", "--seeds", "0-9", "--output-path", small_disk)
    full = invoke("train-and-eval", *flags(tasks, *cells))
    assert full.exit_code == 2
    assert "No space left on device" in full.stderr
    assert "Finished work is kept" in full.stderr
    assert "Traceback" not in full.output
    assert stored(small_disk, interrupted=True)


def test_a_read_only_folder_is_one_sentence(tasks, read_only):
    done = invoke("train-and-eval", *flags(tasks, "--methods", "sft", "--output-path", read_only / "out"))
    assert done.exit_code == 2
    assert "can't be written" in done.stderr
    assert done.stderr.strip().count("\n") == 0


@pytest.fixture
def small_disk(tmp_path):
    yield from mounted(tmp_path / "disk", "size=500k")


@pytest.fixture
def read_only(tmp_path):
    if os.geteuid() == 0:  # whom no permission holds back
        yield from mounted(tmp_path / "disk", "ro")
    else:
        (tmp_path / "disk").mkdir(mode=0o555)
        yield tmp_path / "disk"
        (tmp_path / "disk").chmod(0o755)


def mounted(folder, options):
    """A file system of its own in memory; skipped where we may not mount one."""
    folder.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True)
    if mount.returncode != 0:
        pytest.skip("needs the right to mount a file system in memory")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def wait_for(condition, process, seconds=120.0):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
