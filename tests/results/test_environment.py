"""The environment record: true, quick, and honest about what it can't know."""

import importlib.metadata
import subprocess
import sys

import pytest

from rpo_bench.results import environment as module
from rpo_bench.results.environment import checkout_state, environment


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "-C", folder, *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path):
    """A repository that holds a package of our name, committed."""
    (tmp_path / "rpo_bench").mkdir()
    (tmp_path / "rpo_bench" / "__init__.py").write_text("")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def test_it_tells_what_is_installed_and_what_the_caller_says():
    found = environment("cpu", "bfloat16", 2)
    assert found.packages["torch"] == importlib.metadata.version("torch")
    assert (found.device, found.dtype, found.threads) == ("cpu", "bfloat16", 2)
    assert found.python == ".".join(map(str, sys.version_info[:3]))
    assert found.processor


def test_packages_that_only_tests_use_are_not_told():
    assert "trl" not in environment("cpu", "float32", 1).packages


def test_it_imports_nothing_heavy():
    code = "import sys; from rpo_bench.results.environment import environment as e; e('cpu', 'float32', 1); "
    code += "print(sorted({'torch', 'transformers', 'pandas', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_second_record_of_a_process_looks_nothing_up(monkeypatch):
    first = environment("cpu", "float32", 1)
    monkeypatch.setattr(module, "version", lambda name: pytest.fail(f"{name}: asked twice"))
    monkeypatch.setattr(subprocess, "run", lambda command, **_: pytest.fail(f"{command}: run twice"))
    assert environment("cpu", "float32", 1) == first


def test_a_clean_checkout_has_its_commit(checkout):
    commit, dirty = checkout_state(checkout)
    assert commit is not None
    assert (len(commit), dirty) == (40, False)


def test_changed_code_is_dirty_and_other_files_are_not(checkout):
    (checkout / "notes.txt").write_text("mine")
    assert checkout_state(checkout)[1] is False
    (checkout / "rpo_bench" / "new.py").write_text("x = 1")
    assert checkout_state(checkout)[1] is True


def test_a_wheel_installed_inside_somebody_s_repository_has_no_commit(checkout):
    packages = checkout / ".venv" / "site-packages"
    (packages / "rpo_bench").mkdir(parents=True)
    (packages / "rpo_bench" / "__init__.py").write_text("")
    assert checkout_state(packages) == (None, None)


def test_outside_of_any_repository_there_is_no_commit(tmp_path):
    assert checkout_state(tmp_path) == (None, None)


def test_git_s_own_variables_point_nowhere_else(checkout, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    assert checkout_state(checkout)[0] is not None


def test_without_git_there_is_no_commit(checkout, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert checkout_state(checkout) == (None, None)


def test_a_package_that_is_not_installed_is_left_out(monkeypatch):
    monkeypatch.setattr(module, "PACKAGES", ("numpy", "no-such-package"))
    module._installed.cache_clear()
    try:
        assert set(environment("cpu", "float32", 1).packages) == {"rpo-bench", "numpy"}
    finally:
        monkeypatch.undo()
        module._installed.cache_clear()
