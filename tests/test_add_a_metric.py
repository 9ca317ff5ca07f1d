"""A metric in one file, as docs/metrics.md says: as a plug-in and as an installed package."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from results_factory import cell_spec, write_cell
from run_cli import invoke, stored

from rpo_bench.files.json_lines import write_json_lines
from rpo_bench.metrics.registry import METRICS
from rpo_bench.registry import PLUGINS_VARIABLE
from rpo_bench.results.samples import ScoreLine, StoredSample

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "docs" / "examples" / "my_metric.py"


@pytest.fixture
def run(tmp_path):
    """A stored result with three samples."""
    folder = write_cell(tmp_path / "run" / "results", cell_spec())
    texts = ("yes please", "no", " ")
    said = {"prompt_id": "p0", "prompt": "Hi?", "finished": True, "token_ids": (5, 1)}
    samples = [StoredSample(**said, sample=n, text=text) for n, text in enumerate(texts)]
    write_json_lines(folder / "samples.jsonl.gz", samples)
    lines = [ScoreLine(prompt_id="p0", sample=n, scores={}) for n in range(len(texts))]
    write_json_lines(folder / "scores.jsonl.gz", lines)
    return tmp_path / "run"


def check(run):
    (one,) = stored(run)
    value = one.record.metrics["politeness"]
    assert (value.interval.point, value.unit) == (0.5, "share")
    assert (value.scored, value.unscored) == (2, {"empty text": 1})


def test_as_a_plug_in(run, monkeypatch):
    monkeypatch.setattr(METRICS, "_entries", dict(METRICS._entries))
    monkeypatch.setenv(PLUGINS_VARIABLE, "")
    done = invoke("score", run, "--metrics", "politeness", "--plugin", EXAMPLE)
    for name in [name for name in sys.modules if name.startswith("rpo_bench_plugin_my_metric")]:
        del sys.modules[name]
    assert done.exit_code == 0, done.output
    check(run)


def test_an_installed_package_needs_no_flag(run, tmp_path):
    """A distribution is a module, and a dist-info folder whose entry_points.txt names it."""
    shutil.copy(EXAMPLE, tmp_path / "my_metric.py")
    info = tmp_path / "my_metric-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-metric\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[rpo_bench.metrics]\npoliteness = my_metric:family\n")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    command = [sys.executable, "-m", "rpo_bench", "score", str(run), "--metrics", "politeness"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    check(run)
