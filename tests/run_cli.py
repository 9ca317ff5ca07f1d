"""Runs the command line, in this process or in one of its own, on a tiny task."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from rpo_bench.cli.main import app
from rpo_bench.results.schema import Record
from rpo_bench.results.store import StoredRecord, read_results

#: Small settings for every run of a tiny task.
SMALL = [
    "--steps", "3", "--batch-size", "4", "--probe-every", "2", "--n-samples", "2", "--workers", "2",
    "--seeds", "0",
]  # fmt: skip


def invoke(*args: Any) -> Any:
    """The command line in this process: exit_code, stdout, stderr, output."""
    return CliRunner().invoke(app, [str(arg) for arg in args], prog_name="rpo-bench")


def spawn(*args: Any, **popen: Any) -> subprocess.Popen[str]:
    """The command line as a process group of its own, which listens to Ctrl-C even if these tests don't.

    A job in the background of a script ignores SIGINT, and so would all that it starts.
    """
    return subprocess.Popen(
        [sys.executable, "-m", "rpo_bench", *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        **popen,
    )


def stored(output: Path, interrupted: bool = False) -> list[StoredRecord]:
    """All results of an output folder; none may be broken, or but for those that were being written."""
    results = read_results(output)
    assert all(interrupted and broken.reason.startswith("unfinished") for broken in results.broken)
    return list(results.records)


def outcome(record: Record) -> dict[str, Any]:
    """The part of a record that may not depend on when and how it was made."""
    return {
        "spec": record.spec,
        "status": record.status,
        "metrics": record.metrics,
        "stability": record.stability,
        "hashes": {name: value for name, value in record.hashes.items() if name != "train_log"},
    }
