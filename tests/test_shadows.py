"""A user's files that have the names of packages, beside a script or in the current folder."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from rpo_bench.shadows import NEEDED, OURS

ROOT = Path(__file__).parents[1]
MINE = "raise RuntimeError('the code of a file of the user')\n"
#: Both packages are ours, and a library is the library, wherever this runs.
USES = """
import sys
import rpo_bench
from trainers.settings import TrainingSettings
import tasks, trainers
from rpo_bench.tasks.task import task_folders
assert "civil_qa" in task_folders()
home = rpo_bench.__path__[0].removesuffix("rpo_bench")
assert all(one.__path__[0].startswith(home) for one in (tasks, trainers)), (tasks, trainers)
import library
assert "mine" not in library.origin(sys.argv[1])
print("fine")
"""
#: Somebody else's code, which wants the package.
LIBRARY = """
import importlib.util

def origin(name):
    return str(importlib.util.find_spec(name).origin)
"""
WORKER = """
from rpo_bench.engine.pool.jobs import Job
from rpo_bench.engine.pool.local import LocalPool, worker_context
from rpo_bench.engine.pool.progress import Tally
from rpo_bench.engine.pool.run_jobs import run_jobs
from rpo_bench.engine.pool.worker import Done
from pathlib import Path
import rpo_bench.shadows as module
job = Job("a", "a", "train", Path("log").resolve())
import shadow_job
with LocalPool(worker_context(["rpo_bench.tasks.task"]), shadow_job.perform, 1) as pool:
    (done,) = run_jobs(pool, [job], Tally([job], 1))
print(done.value if done.status == "done" else done.reason)
"""
JOB = """
def perform(job, report):
    import rpo_bench, tasks, trainers
    from rpo_bench.engine.pool.worker import Done
    assert trainers.__path__[0].rpartition("/")[0] == rpo_bench.__path__[0].rpartition("/")[0]
    return Done("fine")
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The packages as a wheel puts them: beside each other, in a folder behind the user's."""
    site = tmp_path_factory.mktemp("site")
    for name in ("rpo_bench", *OURS):
        keep = shutil.ignore_patterns("*.safetensors", "*.gz", "*.npz", "__pycache__", "templates", "*.jsonl")
        shutil.copytree(ROOT / name, site / name, ignore=keep)
    return site


@pytest.fixture
def mine(tmp_path):
    (tmp_path / "library.py").write_text(LIBRARY)
    folder = tmp_path / "mine"
    folder.mkdir()
    return folder


def shadow(folder, name, kind="file"):
    if kind == "file":
        file = folder / f"{name}.py"
    else:
        (folder / name).mkdir()
        file = folder / name / "__init__.py"
    file.write_text(MINE)
    return file


def python(folder, *words, site=ROOT):
    around = next(path for path in (folder, *folder.parents) if (path / "library.py").is_file())
    env = {**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{around}"}
    return subprocess.run(
        [sys.executable, *map(str, words)], cwd=folder, env=env, capture_output=True, text=True, timeout=120
    )


def by_script(folder, name, site):
    (folder / "script.py").write_text(USES)
    return python(folder.parent, folder / "script.py", name, site=site)


def by_command(folder, name, site):
    return python(folder, "-c", USES, name, site=site)


def by_module(folder, name, site):
    return python(folder, "-m", "rpo_bench", "--help", site=site)


@pytest.mark.parametrize(
    ("start", "kind", "name"),
    [
        *((start, "file", name) for start in (by_script, by_command, by_module) for name in OURS),
        *((by_script, "folder", name) for name in OURS),
        (by_script, "file", "datasets"),
        (by_command, "file", "evaluate"),
        (by_module, "file", "yaml"),
    ],
)
def test_a_file_of_a_packages_name_changes_nothing(name, kind, start, mine):
    if name == "evaluate" and importlib.util.find_spec("evaluate") is None:
        pytest.skip("needs evaluate")
    shadow(mine, name, kind)
    done = start(mine, name, ROOT)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "fine" in done.stdout or "train-and-eval" in done.stdout


@pytest.mark.parametrize("start", [by_script, by_module])
@pytest.mark.parametrize("name", OURS)
def test_nor_where_the_project_is_installed(name, start, mine, installed):
    shadow(mine, name)
    done = start(mine, name, installed)
    assert done.returncode == 0, done.stderr


def test_the_packages_that_are_needed_are_those_of_the_project():
    names = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    modules = {re.split(r"[<>=\[]", name)[0].replace("-", "_") for name in names}
    assert {"yaml" if name == "pyyaml" else name for name in modules} == set(NEEDED)


def test_every_package_that_is_needed_is_found_behind_a_file_of_its_name(mine):
    for name in NEEDED:
        shadow(mine, name)
    look = "import rpo_bench, library, sys\nprint([n for n in sys.argv[1:] if 'mine' in library.origin(n)])"
    done = python(mine, "-c", look, *NEEDED)
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.parametrize("name", [*OURS, "rpo_bench", "random"])
def test_workers_find_what_their_parent_finds(name, mine):
    """The parent doesn't look in its current folder; multiprocessing lets the workers' server do so."""
    (mine.parent / "shadow_job.py").write_text(JOB)
    (mine.parent / "script.py").write_text(WORKER)
    shadow(mine, name)
    done = python(mine, mine.parent / "script.py")
    assert (done.stdout, done.returncode) == ("fine\n", 0), done.stderr


def test_the_methods_work_alone(mine):
    done = python(mine, "-c", "import sys\nfrom trainers import RPO, fit\nprint('rpo_bench' in sys.modules)")
    assert done.stdout == "False\n", done.stderr


@pytest.mark.parametrize("name", [*OURS, "datasets", "yaml"])
def test_what_was_imported_first_is_named_in_one_sentence(name, mine):
    file = mine / f"{name}.py"
    file.write_text("")
    done = python(mine, "-c", f"import {name}\nimport rpo_bench")
    assert done.stderr.splitlines()[-1] == (
        f"rpo_bench.shadows.ShadowedError: {file} was imported as '{name}' before rpo_bench, which needs its "
        "package of that name: rename that file."
    )


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("trainers", "'Mine' isn't in RPO-Bench's package 'trainers', which was imported, and not {file}"),
        ("tasks", "'Mine' isn't in RPO-Bench's package 'tasks', which was imported, and not {file}"),
        ("datasets", "{file} has the name of the package 'datasets', which RPO-Bench needs"),
    ],
)
def test_what_is_imported_afterwards_is_named_in_one_sentence(name, sentence, mine):
    file = mine / f"{name}.py"
    file.write_text("Mine = 1")
    (mine / "script.py").write_text(f"import rpo_bench\nfrom {name} import Mine\n")
    done = python(mine, "script.py")
    assert sentence.format(file=file) in done.stderr.splitlines()[-1]


def test_on_the_command_line_it_is_that_sentence_alone(mine):
    """A package that isn't there but for the user's file can't be found behind it."""
    (mine / "plugin.py").write_text("import yaml")
    file = shadow(mine, "yaml")
    done = python(mine, "-m", "rpo_bench", "methods", "--plugin", "plugin.py")
    assert str(file) in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 2


def test_ones_own_evaluate_may_be_imported_beside_ours(mine):
    (mine / "evaluate.py").write_text("mine = 'fine'")
    (mine / "script.py").write_text("import rpo_bench, evaluate\nprint(evaluate.mine)")
    assert python(mine, "script.py").stdout == "fine\n"
