"""``rpo-bench methods`` and ``rpo-bench tasks``: they print what is registered, not a copy of it."""

import dataclasses
import json
import re

import pytest
from typer.testing import CliRunner

from rpo_bench.cli.main import app
from rpo_bench.methods import METHODS


def run(*args):
    return CliRunner().invoke(app, list(map(str, args)), prog_name="rpo-bench")


def test_methods_are_listed_with_their_axes_and_needs():
    done = run("methods")
    assert done.exit_code == 0
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}
    for name in ("sft", "kto", "dro", "dro-p", "rpo", "rpo-released"):
        method = METHODS.get(name)()
        for fact in (method.axes.prompts, method.axes.responses, method.axes.coefficient, method.paper):
            assert fact in lines[name]
        for need in method.needs:
            assert need.value in lines[name]


@pytest.mark.parametrize("name", ["sft", "kto", "dro", "rpo", "rpo-released"])
def test_a_method_is_shown_with_equation_paper_and_every_option(name):
    done = run("methods", "show", name)
    assert done.exit_code == 0
    method = METHODS.get(name)()
    assert method.equation in done.stdout
    assert method.paper in done.stdout
    options = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}
    for field in [field.name for field in dataclasses.fields(method)]:
        assert str(getattr(method, field)) in options[field]
        assert len(options[field].split()) > 2, f"{field} has no explanation in the docstring"


def test_a_deviation_from_the_paper_is_shown():
    assert "Algorithm 1 prints the regulariser as" in run("methods", "show", "dro").stdout


def test_a_broken_method_is_named_and_the_others_are_listed(monkeypatch):
    monkeypatch.setitem(METHODS._entries, "broken", "no_such_module:attribute")
    done = run("methods")
    assert done.exit_code == 0
    assert "rpo-released" in done.stdout
    assert "The method 'broken' (no_such_module:attribute) can't be imported" in done.stderr


def test_an_unknown_method_is_one_sentence():
    done = run("methods", "show", "rpo-relased")
    assert (done.exit_code, done.stderr) == (
        2,
        "Unknown method 'rpo-relased'. Did you mean 'rpo-released'?\n",
    )


def write_task(folder, name="riddles"):
    (folder / name).mkdir()
    prompts = [{"prompt_id": f"r{i}", "text": f"Riddle {i}?"} for i in range(7)]
    (folder / name / "heldout.jsonl").write_text("".join(json.dumps(p) + "\n" for p in prompts))
    (folder / name / "task.yaml").write_text(f"""
name: {name}
version: 3
title: Riddles in the dark
description: Asks riddles.
train: {{on_policy: rows.jsonl, off_policy: others.jsonl}}
heldout: heldout.jsonl
models: {{small: models/small}}
learning_rates: {{rpo: 0.002}}
max_new_tokens: 12
""")


def test_tasks_are_listed_with_those_of_a_folder(tmp_path):
    write_task(tmp_path)
    done = run("tasks", "--include-path", tmp_path)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("riddles")]
    cells = re.split(r"\s{2,}", line)
    assert cells == ["riddles", "Riddles in the dark", "7", "on_policy, off_policy", "small"]


def test_a_task_is_shown_with_an_example_prompt(tmp_path):
    write_task(tmp_path)
    done = run("tasks", "show", "riddles", "--include_path", tmp_path)
    for fact in (
        "(version 3)",
        "Asks riddles.",
        "12 tokens",
        "rows.jsonl",
        "0.002",
        "Riddle 0?",
        "7 (heldout.jsonl)",
    ):
        assert fact in done.stdout


def test_an_unknown_task_is_one_sentence(tmp_path):
    write_task(tmp_path)
    done = run("tasks", "show", "ridles", "--include-path", tmp_path)
    assert (done.exit_code, done.stderr) == (2, "Unknown task 'ridles'. Did you mean 'riddles'?\n")
