"""Tests have the same identifiers in every process and at any time: two workers must agree on them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from encodable import encodable

TESTS = Path(__file__).parent
CLOCK = """
import time, pytest
@pytest.mark.parametrize("value", {values}{more})
def test_it(value): ...
"""


def collect(hash_seed: int, *where: Path | str) -> subprocess.CompletedProcess[str]:
    """Collects in a process of its own, in order, whose sets have another order."""
    off = [part for plugin in ("xdist", "randomly", "cacheprovider") for part in ("-p", f"no:{plugin}")]
    command = [sys.executable, "-m", "pytest", "--collect-only", *off, *map(str, where)]
    env = {**os.environ, "PYTHONHASHSEED": str(hash_seed)}
    return subprocess.run(command, cwd=TESTS.parent, env=env, capture_output=True, text=True, check=False)


def identifiers(hash_seed: int) -> list[str]:
    """Those of all tests of the project."""
    done = collect(hash_seed, TESTS)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return [line for line in done.stdout.splitlines() if "::" in line]


@pytest.mark.slow
def test_two_collections_at_two_times_are_equal(collected: list[str]):
    """This session's own, if it is of all tests, against one that another process makes now."""
    files = {name.partition("::")[0] for name in collected}
    whole = files >= {str(path.relative_to(TESTS.parent)) for path in TESTS.rglob("test_*.py")}
    assert sorted(collected if whole else identifiers(1)) == sorted(identifiers(2))


@pytest.mark.parametrize(
    ("values", "more", "said"),
    [
        ("[str(time.time()).encode()]", "", "'value' is parametrised by bytes: give each a name"),
        ("[object()]", ", ids=repr", "an address in an identifier"),
    ],
    ids=["bytes", "address"],
)
def test_what_could_differ_is_refused_at_collection(tmp_path: Path, values: str, more: str, said: str):
    (tmp_path / "test_planted.py").write_text(CLOCK.format(values=values, more=more))
    shutil.copy(TESTS / "conftest.py", tmp_path)
    done = collect(1, "-c", TESTS.parent / "pyproject.toml", tmp_path)
    assert done.returncode != 0
    assert said in done.stdout + done.stderr


def test_reports_can_be_sent_whatever_a_test_printed():
    sent = encodable({"sections": [("Captured log call", "a \ud800 b")], "when": ("call", 1.5, None)})
    assert sent == {"sections": [("Captured log call", "a \\ud800 b")], "when": ("call", 1.5, None)}
