"""Ctrl-C while a command starts: in the middle of an import, in the planning, in the workers' server."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rpo_bench.cli.stopping import INTERRUPTED, STOPPED, is_interrupt

#: Interrupts the whole process group, as a terminal does, when a module is imported in one kind of process.
INTERRUPTING = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        here = "server" if "forkserver" in " ".join(sys.orig_argv) else "command"
        if name == os.environ["AT"] and here == os.environ["WHERE"]:
            os.environ["AT"] = ""
            exec("os.killpg(0, signal.SIGINT)")

sys.meta_path.insert(0, Finder())
"""
RUN = ("train-and-eval", "--preset", "smoke")


def run_interrupted(where, module, words, folder):
    """Runs the command in a new process group and interrupts it at an import.

    The interrupt is sent inside an exec of a string, after which CPython would end itself by SIGINT
    although the exception is caught.
    """
    (folder / "sitecustomize.py").write_text(INTERRUPTING)
    paths = os.pathsep.join([str(folder), str(Path(__file__).parents[2])])
    return subprocess.run(
        [sys.executable, "-m", "rpo_bench", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths, "AT": module, "WHERE": where},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
        start_new_session=True,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    ("where", "module", "words"),
    [
        ("command", "rpo_bench.cli.main", ["--help"]),
        ("command", "typer", ["--help"]),
        ("command", "torch", RUN),
        ("command", "transformers", RUN),
        ("server", "torch", RUN),
    ],
)
def test_is_one_sentence_wherever_it_comes(where, module, words, tmp_path):
    done = run_interrupted(where, module, words, tmp_path)
    assert done.stderr == f"{STOPPED}\n"
    assert done.returncode == INTERRUPTED


class Interrupting:
    def __set_name__(self, owner, name):
        raise KeyboardInterrupt


def test_it_is_recognised_while_a_class_is_made():
    """Python 3.11 raises a RuntimeError from it, later versions the interrupt itself."""
    with pytest.raises((RuntimeError, KeyboardInterrupt)) as found:
        type("Made", (), {"field": Interrupting()})
    assert is_interrupt(found.value)
    assert not is_interrupt(RuntimeError("another"))


IN_A_DESTRUCTOR = """
import time
from rpo_bench.cli.stopping import keep_interrupts

class Held:
    def __del__(self):
        raise KeyboardInterrupt

keep_interrupts()
try:
    Held()
    time.sleep(60)
except KeyboardInterrupt:
    print("stopped")
"""


def test_it_is_not_lost_in_a_destructor():
    done = subprocess.run(
        [sys.executable, "-c", IN_A_DESTRUCTOR], capture_output=True, text=True, timeout=50, check=False
    )
    assert (done.stdout, done.stderr) == ("stopped\n", "")
