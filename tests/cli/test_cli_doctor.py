"""``rpo-bench doctor``: its checks are real, so each is made to fail by taking away what it looks for."""

import importlib.metadata
import re
import sys

import pytest
from typer.testing import CliRunner

import rpo_bench.doctor as doctor
from rpo_bench.cli.main import app
from rpo_bench.doctor import Check, Status


def statuses(checks):
    return {check.name: check.status for check in checks}


def test_this_machine_has_the_packages_that_the_distribution_asks_for():
    found = statuses(doctor.check_packages())
    required = {"torch", "transformers", "pydantic", "typer"}
    assert all(re.search(r"answers '.+', reward -?\d", check.detail) for check in checks)


def test_an_embedded_task_that_is_not_there_is_missing(monkeypatch):
    monkeypatch.setattr(doctor, "EMBEDDED_TASK", "no_such_task")
    (check,) = doctor.check_embedded_task()
    assert check.status is Status.MISSING
    assert check.detail.startswith("Unknown task 'no_such_task'.")


@pytest.mark.parametrize(("status", "code"), [(Status.OK, 0), (Status.NOTE, 0), (Status.MISSING, 1)])
def test_the_exit_code_is_1_only_when_something_needed_is_missing(monkeypatch, status, code):
    monkeypatch.setattr(
        "rpo_bench.cli.doctor.examine", lambda folder: iter([Check("thing", status, "a [b] c")])
    )
    done = CliRunner().invoke(app, ["doctor"], prog_name="rpo-bench")
    assert done.exit_code == code
    assert "a [b] c" in done.stdout
