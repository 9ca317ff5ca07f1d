"""A judge in one file, as docs/judge.md says: as a plug-in and as an installed package."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from judge_worlds import write_judged
from run_cli import invoke

from rpo_bench.judge.registry import JUDGES, JudgeOptions, make_judge
from rpo_bench.judge.storage import judge_folders, load_games
from rpo_bench.registry import PLUGINS_VARIABLE

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "docs" / "examples" / "my_judge.py"


@pytest.fixture
def output(tmp_path: Path) -> Path:
    said = {"reference": ["a long answer", "no", "same"], "rpo": ["short", "no, never", "same"]}
    return write_judged(tmp_path / "out", said)


def check(output: Path) -> None:
    """The shorter response won, in both orders; equal ones are a tie."""
    (folder,) = judge_folders(output)
    found = {(game.question, game.swapped): game.verdict for game in load_games(folder)}
    winners = {"p000/0": "model", "p001/0": "baseline", "p002/0": "tie"}
    assert found == {(name, order): won for name, won in winners.items() for order in (False, True)}


def test_as_a_plug_in(output: Path, monkeypatch):
    monkeypatch.setattr(JUDGES, "_entries", dict(JUDGES._entries))
    monkeypatch.setenv(PLUGINS_VARIABLE, "")
    done = invoke("judge", "run", output, "--judge", "shortest", "--plugin", EXAMPLE)
    for name in [name for name in sys.modules if name.startswith("rpo_bench_plugin_my_judge")]:
        del sys.modules[name]
    assert done.exit_code == 0, done.output
    check(output)


def test_an_installed_package_needs_no_flag(output: Path, tmp_path: Path):
    """A distribution is a module, and a dist-info folder whose entry_points.txt names it."""
    shutil.copy(EXAMPLE, tmp_path / "my_judge.py")
    info = tmp_path / "my_judge-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-judge\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[rpo_bench.judges]\nshortest = my_judge:shortest\n")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    command = [sys.executable, "-m", "rpo_bench", "judge", "run", str(output), "--judge", "shortest"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    check(output)


@pytest.mark.parametrize("source", ["shortst", "openai", "hf:", "gold:x", "embedded:y", ""])
def test_what_is_no_judge_is_told_with_those_that_there_are(source: str):
    from rpo_bench.errors import UserError

    with pytest.raises(UserError) as refused:
        make_judge(source, JudgeOptions())
    assert str(refused.value) == (
        f"--judge {source}: write openai:MODEL, hf:FOLDER, python:FILE:FUNCTION, gold or embedded."
    )
