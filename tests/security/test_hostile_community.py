"""Every verb over results by somebody who means harm: nothing of theirs runs, and the rest is shown."""

from pathlib import Path

import pytest
import yaml
from hostile import TRACE, write_community, write_results
from run_cli import invoke
from verbs import commands

#: (verb, how it is run, what of the good results it shows); ALL: good results with the stranger's below, OWN:
#: the stranger's folder, OUT: a new one.
READS = [
    ("compare", "rpo sft --results ALL --resamples 100", "rpo − sft"),
    ("aggregate", "ALL", "needs two tasks"),
    ("judge run", "ALL --judge gold --output-path OUT", "gold:gold"),
    ("judge parse", "OWN", "good"),
    ("judge scores", "OWN --write", "good"),
    ("judge ranking", "OWN", "fewer than two methods"),
    ("judge audit", "ALL --judge gold --pairs 4 --output-path OUT", "agreement with"),
    ("stability", "ALL --threshold 0.1", "rpo"),
    ("overoptimisation", "ALL", "no method has a gold and a proxy reward"),
    ("score", "ALL --metrics length --overwrite", "GOOD: finished_share, length"),
    ("publish", "ALL --output-path OUT", "GOOD"),
    ("submit check", "OWN --against ALL", "checks failed"),
    ("export", "ALL OUT", "GOOD"),
    ("leaderboard", "ALL --output-path OUT", "\nsft "),
    ("eval", "OWN/evil/weights --output-path OWN", "whose code would run"),
    ("eval", "OWN/evil/weights --output-path OUT", "unpickling runs any code"),
]

#: Verb → why it reads nothing that is stored in results of others.
READS_NONE = {
    "train-and-eval": "its own output; a stored spec has to be named with --config",
    "train": "its own output",
    "tune": "its own output; the file that it writes is read by its schema, see tuning/test_tune.py",
    "base": "rows and a config that the user names",
    "reward-model": "rows and a model that the user names",
    "data": "rows that the user names",
    "data check": "rows that the user names",
    "methods": "the registry",
    "methods show": "the registry",
    "verify": "worlds that it makes",
    "tasks": "known tasks, and a folder that the user names",
    "tasks show": "known tasks, and a folder that the user names",
    "judge import": "a file that the user names; see test_reading.py",
    "oracle": "a task that the user names; stored samples: see test_reading.py",
    "doctor": "this machine",
}


def test_every_verb_is_told_apart():
    known = {verb for verb, _, _ in READS} | READS_NONE.keys()
    assert set(commands()) == known, "a new verb: does it read stored results?"


@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize(("verb", "line", "shown"), READS)
def test_nothing_of_a_stranger_runs_and_the_rest_is_shown(
    verb: str, line: str, shown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    marks = tmp_path / "marks"
    marks.mkdir()
    good = write_results(Path("results"))
    own = write_community(Path("results"), marks)
    line = line.replace("OWN", str(own)).replace("ALL", "results").replace("OUT", "out")
    ended = invoke(*verb.split(), *line.split())
    assert isinstance(ended.exception, SystemExit | None), ended.exc_info
    assert ended.exit_code in (0, 1, 2)
    assert "Traceback" not in ended.output
    assert not list(marks.iterdir()), "something was imported or unpickled"
    files = [file for file in Path("out").rglob("*") if file.is_file() and file.suffix != ".gz"]
    told = ended.output + "".join(f"{file} {file.read_text(errors='replace')}" for file in files)
    assert TRACE not in told, "a template was rendered"
    for folder in good:
        assert shown.replace("GOOD", folder.name) in told


@pytest.mark.parametrize(
    ("earlier", "flag"),
    [
        ({"task": "elsewhere/evil"}, "--task elsewhere/evil"),
        ({"evaluation": {"reward": "python:evil.py:reward"}}, "--reward python:evil.py:reward"),
        (
            {"generation": {"backend": "openai", "openai": {"base_url": "http://evil.example/v1"}}},
            "--generation-backend openai",
        ),
    ],
)
def test_what_an_earlier_run_names_is_not_run_unless_it_is_named_again(earlier, flag, tmp_path: Path):
    """The output may be a stranger's: its spec names no code to run, and no server that gets a key."""
    spec = {"task": "civil_qa", "methods": [{"name": "sft"}], **earlier}
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec))
    ended = invoke("eval", tmp_path / "checkpoint", "--output-path", tmp_path)
    assert ended.exit_code == 2
    assert flag in ended.output


def test_a_known_task_is_that_one_whatever_the_working_folder_holds(tmp_path: Path, monkeypatch):
    (tmp_path / "civil_qa").mkdir()
    (tmp_path / "civil_qa" / "task.yaml").write_text("name: evil\n")
    monkeypatch.chdir(tmp_path)
    assert invoke("tasks", "show", "civil_qa").exit_code == 0
    assert "civil_qa/task.yaml" in invoke("tasks", "show", "./civil_qa").output
