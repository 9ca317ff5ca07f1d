"""Users' files that end the process, crash it or never come back are refused in one sentence."""

import shutil
import sys

import pytest
from run_cli import SMALL, invoke
from tiny_task import tiny_task

from rpo_bench.data.row import Prompt
from rpo_bench.engine.inputs.rewards import try_call
from rpo_bench.engine.pool.jobs import Job
from rpo_bench.engine.pool.worker import Failed, _attempt
from rpo_bench.errors import UserError
from rpo_bench.judge.registry import JudgeOptions, make_judge
from rpo_bench.methods import METHODS
from rpo_bench.plugins.trial import SECONDS_VARIABLE, try_out
from rpo_bench.registry import PLUGINS_VARIABLE, load_plugins
from rpo_bench.tasks.functions import load_function
from rpo_bench.tasks.task import load_task

#: What code does instead of coming back → what is said of it.
ENDS = {
    "import sys; sys.exit(0)": "called sys.exit(0)",
    "import sys; sys.exit()": "called sys.exit()",
    "import sys; sys.exit('bye')": "called sys.exit('bye')",
    "raise SystemExit(3)": "called sys.exit(3)",
    "exit()": "called sys.exit()",
    "import os; os._exit(0)": "ended the process with exit code 0",
    "import os; os._exit(7)": "ended the process with exit code 7",
    "raise KeyboardInterrupt": "raised KeyboardInterrupt",
    "raise GeneratorExit": "raised GeneratorExit",
    "import ctypes; ctypes.string_at(0)": "killed the process by signal 11 (SIGSEGV)",
    "import os; os.abort()": "killed the process by signal 6 (SIGABRT)",
    "import os, signal; os.kill(os.getpid(), signal.SIGKILL)": "killed the process by signal 9 (SIGKILL)",
    "import os; os.execv('/bin/true', ['true'])": "ended the process with exit code 0",
    "import time; time.sleep(1000)": "took longer than 0.7 s",
    "[None for _ in iter(int, 1)]": "took longer than 0.7 s",
    "import os, time; os.fork() or time.sleep(1000); os._exit(0)": "ended the process with exit code 0",
}
every_end = pytest.mark.parametrize("code", ENDS, ids=[*map(str, range(len(ENDS)))])


@pytest.fixture(autouse=True)
def limits(monkeypatch, request):
    """A short limit for what hangs, and the usual one for all else."""
    code = getattr(request.node, "callspec", None) and request.node.callspec.params.get("code", "")
    monkeypatch.delenv(PLUGINS_VARIABLE, raising=False)
    if "took longer" in ENDS.get(code, ""):
        monkeypatch.setenv(SECONDS_VARIABLE, "0.7")


def plain(folder, code):
    file = folder / "file.py"
    file.write_text(f"{code}\n")
    return file


def function(folder, code, name="f"):
    file = folder / "file.py"
    file.write_text(f"def {name}(*arguments):\n    {code}\n")
    return file


PROMPTS = [Prompt(prompt_id="a", text="A?")]

IMPORTS = {
    "plug-in": lambda file: load_plugins([file]),
    "reward": lambda file: load_function(file, "f"),
    "judge": lambda file: make_judge(f"python:{file}:f", JudgeOptions()),
}
CALLS = {
    "reward": lambda file: try_call(f"python:{file}:f", "--reward", PROMPTS),
    "judge": lambda file: make_judge(f"python:{file}:f", JudgeOptions()),
}


def refused(work, file, said):
    with pytest.raises(UserError) as raised:
        work(file)
    text = str(raised.value)
    assert said in text
    assert str(file) in text
    assert "\n" not in text


@every_end
@pytest.mark.parametrize("kind", IMPORTS)
def test_at_import(tmp_path, kind, code):
    before = set(sys.modules)
    refused(IMPORTS[kind], plain(tmp_path, code), f"importing it {ENDS[code]}")
    assert not [name for name in set(sys.modules) - before if "file" in name]


@every_end
@pytest.mark.parametrize("kind", CALLS)
def test_in_a_trial_call(tmp_path, kind, code):
    refused(CALLS[kind], function(tmp_path, code), f"calling it {ENDS[code]}")


@pytest.mark.parametrize("code", [*ENDS][::6])
def test_the_command_line_says_so_and_fails(tmp_path, code):
    done = invoke("methods", "--plugin", plain(tmp_path, code))
    assert done.exit_code == 2
    assert done.stderr.startswith("--plugin ")
    assert ENDS[code] in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    return tiny_task(tmp_path_factory.mktemp("tasks") / "tiny")


@pytest.mark.parametrize("place", ["{}\ndef gold(p, r): return [0.0 for _ in r]", "def gold(p, r):\n    {}"])
@pytest.mark.parametrize("code", ["import sys; sys.exit(0)", "import os; os._exit(0)"])
def test_a_tasks_own_reward_is_tried_when_a_run_is_planned(tmp_path, task, place, code):
    own = tmp_path / "own"
    shutil.copytree(task, own)
    (own / "reward.py").write_text(place.format(code))
    done = invoke(
        "train-and-eval",
        "--task",
        own,
        "--methods",
        "rpo",
        *SMALL,
        "--dry-run",
        "--output-path",
        tmp_path / "o",
    )
    assert done.exit_code == 2, done.output
    assert "reward.py" in done.stderr
    assert f"ing it {ENDS[code]}" in done.stderr


@pytest.mark.parametrize("code", ["import sys; sys.exit(0)", "raise SystemExit"])
def test_what_passes_its_trial_and_exits_later_is_no_success(tmp_path, monkeypatch, code):
    """A file may tell a trial from the real thing; the command line fails all the same."""
    monkeypatch.setattr(METHODS, "_entries", dict(METHODS._entries))
    later = f"import multiprocessing\nif multiprocessing.parent_process() is None:\n    {code}\n"
    done = invoke("methods", "--plugin", plain(tmp_path, later))
    assert done.exit_code == 2
    assert "importing it called sys.exit(" in done.stderr
    register = "from rpo_bench.methods import METHODS\nMETHODS.add('mine', lambda: exit(0))\n"
    done = invoke("methods", "show", "mine", "--plugin", plain(tmp_path, register))
    assert done.exit_code == 2
    assert "called sys.exit(0)" in done.stderr


def test_a_worker_whose_job_exits_says_so(tmp_path):
    def perform(job, report):
        sys.exit(0)

    found = _attempt(Job("a", "cell", "score", tmp_path / "log"), perform, None)
    assert isinstance(found, Failed)
    assert "called sys.exit(0)" in found.reason


def test_ordinary_errors_are_told_as_they_are(tmp_path):
    """A trial looks for ends alone: an exception comes with its own words from the import itself."""
    with pytest.raises(UserError, match=r"importing it failed: ValueError: no\.$"):
        load_plugins([plain(tmp_path, "raise ValueError('no')")])
    try_call(f"python:{function(tmp_path, 'raise KeyError(1)')}:f", "--reward", PROMPTS)


def test_nothing_that_a_trial_does_stays(tmp_path, capfd):
    """What it prints, registers and starts ends with it; what the import does is there once."""
    names = set(METHODS)
    with pytest.raises(UserError, match="exit"):
        load_plugins(
            [
                plain(
                    tmp_path,
                    "print('hello')\nfrom rpo_bench.methods import METHODS\nMETHODS.add('x', 'y:z')\nexit()",
                )
            ]
        )
    assert set(METHODS) == names
    assert capfd.readouterr() == ("", "")
    load_function(plain(tmp_path, "print('hello')\ndef f(): pass"), "f")
    assert capfd.readouterr().out == "hello\n"


def test_what_comes_with_the_package_costs_no_child(monkeypatch):
    def never(*_):
        raise AssertionError

    monkeypatch.setattr("rpo_bench.plugins.trial.try_out", never)
    for name in ("arithmetic", "civil_qa", "countdown"):
        assert load_task(name).reward is not None


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "soon", "9" * 5_000])
def test_the_limit_is_a_number_of_seconds(monkeypatch, text):
    monkeypatch.setenv(SECONDS_VARIABLE, text)
    with pytest.raises(UserError, match=SECONDS_VARIABLE):
        try_out(int, "it", "calling it")
