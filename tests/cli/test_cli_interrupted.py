"""What is left when a run is killed, stopped by Ctrl-C, or can't write any more."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from run_cli import SMALL, invoke, spawn, stored
from tiny_task import tiny_task

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from kill_and_resume import rehearse


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    root = tmp_path_factory.mktemp("tasks")
    tiny_task(root / "tiny")
    return root


def flags(tasks, *more):
    return ["--task", "tiny", "--include-path", str(tasks), *SMALL, *more]


@pytest.mark.slow
@pytest.mark.timeout(900)  # five runs, each with an import of torch, perhaps beside other tests
def test_kill_minus_nine_at_random_moments_changes_nothing_in_the_end(tasks, tmp_path):
    """Three kills of the whole process group, one of them with resumable checkpoints on the way."""
    cells = (
        "--methods",
        "kto,dro",
        "--strengths",
        "0.5",
        "--seeds",
        "0",
        "--steps",
        "30",
        "--save-every",
        "7",
    )
    assert rehearse(tmp_path, flags(tasks, *cells), kills=3, rng=random.Random(1)) == []


@pytest.mark.slow
def test_ctrl_c_is_one_sentence_and_loses_nothing_that_is_done(tasks, tmp_path):
    cells = (
        "--methods",
        "sft",
        "--strengths",
        "2",
        "--seeds",
        "0-14",  # enough that some are left however late the signal comes
        "--steps",
        "60",
        "--output-path",
        tmp_path / "out",
    )
    process = spawn("train-and-eval", *flags(tasks, *cells))
    wait_for(lambda: list((tmp_path / "out/results").glob("*/*/[!.]*/result.json")), process)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=100)
    assert process.returncode == 130
    assert errors.strip() == "Stopped. Run the same command again to go on where it was."
    done = {s.folder: (s.folder / "result.json").stat().st_mtime_ns for s in stored(tmp_path / "out", True)}
    assert 1 <= len(done) < 16
    again = invoke("train-and-eval", *flags(tasks, *cells))
    assert again.exit_code == 0
    assert f"{len(done)} were done already" in again.stderr
    assert {f: (f / "result.json").stat().st_mtime_ns for f in done} == done


def test_a_full_disk_is_one_sentence_and_keeps_what_is_done(tasks, tmp_path, small_disk):
    cells = ("--methods", "sft", "--strengths", "2", "--seeds", "0-19", "--output-path", small_disk)
    full = invoke("train-and-eval", *flags(tasks, *cells))
    assert full.exit_code == 2
    assert "No space left on device" in full.stderr
    assert "What is done is kept" in full.stderr
    assert "Traceback" not in full.output
    assert stored(small_disk, interrupted=True)


def test_a_read_only_folder_is_one_sentence(tasks, read_only):
    done = invoke("train-and-eval", *flags(tasks, "--methods", "sft", "--output-path", read_only / "out"))
    assert done.exit_code == 2
    assert "can't be written" in done.stderr
    assert done.stderr.strip().count("\n") == 0


@pytest.fixture
def small_disk(tmp_path):
    yield from mounted(tmp_path / "disk", "size=900k")


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
