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
    assert all(found[name] is Status.OK for name in required)
    assert "pytest" not in found, "what only developers need is not the user's concern"


def test_the_interpreter_is_held_against_the_distributions_range():
    assert statuses(doctor.check_python()) == {"python": Status.OK}


@pytest.mark.parametrize(
    ("requirement", "status", "detail"),
    [
        ("torch>=99", Status.MISSING, "wanted >=99 (pip install 'torch>=99')"),
        ("no-such-package>=1", Status.MISSING, "not installed (pip install 'no-such-package>=1')"),
        ("no-such-package>=1; extra == 'vllm'", Status.NOTE, "not installed (pip install 'rpo-bench[vllm]')"),
        ("torch>=1", Status.OK, "wanted: >=1"),
    ],
)
def test_a_package_out_of_range_is_named_with_what_to_do(monkeypatch, requirement, status, detail):
    monkeypatch.setattr(doctor, "requires", lambda name: [requirement])
    (check,) = doctor.check_packages()
    assert check.status is status
    assert detail in check.detail


def test_a_package_for_another_system_is_not_missed(monkeypatch):
    monkeypatch.setattr(doctor, "requires", lambda name: ["no-such-package; sys_platform == 'none'"])
    assert list(doctor.check_packages()) == []


def test_without_metadata_it_says_that_versions_cannot_be_checked(monkeypatch):
    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "metadata", absent)
    monkeypatch.setattr(doctor, "requires", absent)
    assert statuses(doctor.check_python()) == {"rpo-bench": Status.NOTE}
    assert list(doctor.check_packages()) == []


def test_torch_is_asked_for_cores_memory_and_formats():
    found = statuses(doctor.check_torch())
    assert found["processor"] is Status.OK
    assert "bfloat16" in found


def test_a_torch_that_cannot_be_imported_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert statuses(doctor.check_torch()) == {"torch": Status.MISSING}


def test_disk_is_looked_at_where_results_would_go(tmp_path):
    (check,) = doctor.check_disk(tmp_path / "not" / "yet")
    assert check.detail.endswith(f"free in {tmp_path}")


def test_a_folder_that_cannot_be_written_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor.os, "access", lambda path, mode: False)  # root may write anywhere
    (check,) = doctor.check_disk(tmp_path)
    assert (check.status, "--output-path" in check.detail) == (Status.MISSING, True)


def test_toxicity_scores_a_real_sentence_or_says_what_is_missing(monkeypatch):
    pytest.importorskip("profanity_check")
    assert statuses(doctor.check_toxicity()) == {"toxicity": Status.OK}
    monkeypatch.setitem(sys.modules, "profanity_check", None)
    (check,) = doctor.check_toxicity()
    assert (check.status, "rpo-bench[profanity]" in check.detail) == (Status.NOTE, True)


def test_the_variables_of_the_hub_are_shown(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (check,) = doctor.check_hub()
    assert "HF_HUB_OFFLINE=1" in check.detail


def test_the_embedded_tasks_models_answer_and_are_scored():
    checks = list(doctor.check_embedded_task())
    assert statuses(checks) == {"civil_qa/decoder": Status.OK, "civil_qa/encoder-decoder": Status.OK}
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
