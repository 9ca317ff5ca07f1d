"""Several writers of one thing at once: what stays is whole, one writer's, and nothing is left beside it."""

import re
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from results_factory import cell_spec, metric, write_cell, write_world

import rpo_bench
import trainers
from rpo_bench.files.atomic import atomic_file, atomic_folder, one_writer
from rpo_bench.results.store import StoredRecord, read_record, write_record
from rpo_bench.results.updating import updating
from rpo_bench.site.build import build_leaderboard, check_leaderboard

WRITERS = 4


def at_once(*calls):
    """Runs calls in threads that begin together; raises what any of them raised."""
    ready, failed = threading.Barrier(len(calls)), []

    def run(call):
        ready.wait()
        try:
            call()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def processes(code, *words):
    """One process per word list; their code begins when all of them are there, and must end well."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code), *map(str, of)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for of in words
    ]
    for one in running:
        assert one.stdout.readline() == "ready\n", one.communicate()[1]
    for one in running:
        one.stdin.write("go\n")
        one.stdin.flush()
    for one in running:
        _, said = one.communicate(timeout=120)
        assert one.returncode == 0, said


def test_files_of_one_name_by_many_threads(tmp_path):
    target = tmp_path / "file"

    def write(letter):
        for _ in range(20):
            with atomic_file(target) as temporary:
                temporary.write_text(letter * 10_000)

    at_once(*[lambda letter=letter: write(letter) for letter in "abcd"])
    assert set(target.read_text()) < set("abcd")
    assert len(set(target.read_text())) == 1
    assert list(tmp_path.iterdir()) == [target]


def fill(target, letter, rounds=20):
    """Writes a folder of two files again and again."""
    for _ in range(rounds):
        with atomic_folder(target) as folder:
            (folder / "one").write_text(letter)
            (folder / "two").write_text(letter)


def test_folders_of_one_name_by_many_threads(tmp_path):
    target = tmp_path / "folder"
    at_once(*[lambda letter=letter: fill(target, letter) for letter in "abcd"])
    assert (target / "one").read_text() == (target / "two").read_text()
    assert list(tmp_path.iterdir()) == [target]


def test_folders_of_one_name_by_processes_of_which_one_is_killed(tmp_path):
    """What a killed writer leaves is cleared away; what a living one writes never is."""
    code = """
        import os, sys
        from pathlib import Path
        from rpo_bench.files.atomic import atomic_folder
        print("ready", flush=True)
        input()
        target, letter = Path(sys.argv[1]), sys.argv[2]
        for turn in range(30):
            with atomic_folder(target) as folder:
                (folder / "one").write_text(letter)
                if letter == "c" and turn == 10:
                    os._exit(0)
                (folder / "two").write_text(letter)
    """
    target = tmp_path / "folder"
    processes(code, *[(target, letter) for letter in "abc"])
    fill(target, "d", rounds=1)
    assert (target / "one").read_text() == (target / "two").read_text() == "d"
    assert list(tmp_path.iterdir()) == [target]


def test_a_writer_at_work_isn_t_cleared_away(tmp_path):
    with atomic_folder(tmp_path / "folder") as first:
        (first / "one").write_text("first")
        fill(tmp_path / "folder", "second", rounds=1)
        assert (first / "one").read_text() == "first"
    assert [file.name for file in (tmp_path / "folder").iterdir()] == ["one"]


@pytest.mark.slow
def test_boards_of_one_folder_by_two_processes(tmp_path):
    """Of different results: page and data are one build's, all of them."""
    roots = []
    for name in ("rpo", "kto"):
        roots.append(write_world(tmp_path / name / "results", [name], seeds=1, strengths=(0.3,)))
    code = """
        import sys
        from pathlib import Path
        from rpo_bench.site.build import build_leaderboard
        print("ready", flush=True)
        input()
        for _ in range(3):
            build_leaderboard([Path(sys.argv[1])], Path(sys.argv[2]))
    """
    processes(code, *[(root, tmp_path / "page") for root in roots])
    assert sum(_is_the_page_of(root, tmp_path / "page") for root in roots) == 1
    assert sorted(file.name for file in (tmp_path / "page").iterdir()) == ["data", "index.html"]


def _is_the_page_of(root, page):
    try:
        check_leaderboard([root], page)
    except rpo_bench.UserError:
        return False
    return True


def test_boards_of_one_folder_by_many_threads(tmp_path):
    root = write_world(tmp_path / "results", ["rpo"], seeds=1, strengths=(0.3,))
    at_once(*[lambda: build_leaderboard([root], tmp_path / "page")] * WRITERS)
    check_leaderboard([root], tmp_path / "page")
    assert sorted(file.name for file in (tmp_path / "page").iterdir()) == ["data", "index.html"]


def test_metrics_that_several_add_to_one_record_all_stay(tmp_path):
    stored = StoredRecord(folder := write_cell(tmp_path, cell_spec()), read_record(folder))

    def add(name):
        with updating(stored) as record:
            metrics = {**record.metrics, name: metric([0.0, 1.0])}
            write_record(folder, record.model_copy(update={"metrics": metrics}))

    names = [f"metric_{i}" for i in range(8)]
    at_once(*[lambda name=name: add(name) for name in names])
    assert set(read_record(folder).metrics) == {*stored.record.metrics, *names}


def test_one_writer_leaves_nothing_and_ends_with_the_block(tmp_path):
    with one_writer(tmp_path / "new"):
        pass
    with pytest.raises(ZeroDivisionError), one_writer(tmp_path / "new"):
        raise ZeroDivisionError
    with one_writer(tmp_path / "new"):
        assert list((tmp_path / "new").iterdir()) == []


def test_no_temporary_name_is_fixed():
    """Names to write to are made by ``beside`` alone, which gives no two writers the same."""
    fixed = re.compile(r"""with_suffix\(["']\.(?:tmp|part)|\.tmp["'`}]|/ f".*getpid|name\(f".*getpid""")
    for home in (Path(rpo_bench.__file__).parent, Path(trainers.__file__).parent):
        for file in home.rglob("*.py"):
            if file.name != "whole_files.py":
                assert not fixed.search(file.read_text(encoding="utf-8")), f"{file} names one itself"
