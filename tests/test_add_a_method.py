"""A method in one file: as a plug-in, as an installed package, through every verb, our code untouched."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from run_cli import SMALL, invoke, stored
from tiny_models import tiny_decoder, tiny_encoder_decoder
from tiny_task import tiny_task
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from rpo_bench.methods import METHODS
from rpo_bench.registry import PLUGINS_VARIABLE, load_plugin
from trainers import Examples, TrainingSettings, fit

EXAMPLE = Path(__file__).parents[1] / "docs" / "examples" / "my_method.py"


@pytest.fixture
def plugin(monkeypatch):
    """The example's path; what loading it leaves behind is put back."""
    monkeypatch.setattr(METHODS, "_entries", dict(METHODS._entries))
    monkeypatch.setenv(PLUGINS_VARIABLE, "")
    yield EXAMPLE
    for name in [name for name in sys.modules if name.startswith("rpo_bench_plugin_my_method")]:
        del sys.modules[name]


def test_it_is_listed_and_shown(plugin):
    listed = invoke("methods", "--plugin", plugin)
    (line,) = [line for line in listed.stdout.splitlines() if line.startswith("awr ")]
    assert "min(e^{r/τ}, clip)" in line
    shown = invoke("methods", "show", "awr", "--plugin", plugin)
    assert "L = −E[w log π_θ(y|x)]" in shown.stdout
    assert "the largest weight" in shown.stdout


def test_it_is_verified_and_the_verdict_is_what_its_algebra_says(plugin):
    """Unclipped, the maximum of E_μ[e^{r/τ} log π] is ∝ μ e^{r/τ}: π* when π_ref wrote the data."""
    asked = ("verify", "awr(clip=1e9)", "--ks", "1", "--taus", "0.5", "--json", "--plugin", plugin)
    (found,) = json.loads(invoke(*asked).stdout)
    assert found["contract"]["coefficient_holds"]
    assert found["verdicts"]["on_policy"]["kind"] == "consistent"
    assert found["verdicts"]["off_policy"] == {
        "kind": "not_consistent",
        "text": "not consistent: it converges to μ·e^(r/0.5) at strength 0.5",
    }


@pytest.mark.parametrize("arch", ["decoder", "encoder-decoder"])
def test_it_trains_on_our_engine(plugin, tmp_path, arch):
    """Eight steps on two responses: the one with the reward gains on the other."""
    load_plugin(plugin)
    make = tiny_decoder if arch == "decoder" else tiny_encoder_decoder
    loader = AutoModelForCausalLM if arch == "decoder" else AutoModelForSeq2SeqLM
    model = loader.from_pretrained(make(tmp_path / "base"))
    examples = Examples(
        prompts=[[5, 6], [5, 6], [7, 8], [7, 8]],
        responses=[[9, 1], [10, 11, 1], [9, 1], [10, 11, 1]],
        rewards=np.array([1.0, -1.0, 1.0, -1.0]),
        groups=np.array([0, 0, 1, 1]),
    )
    settings = TrainingSettings(steps=8, batch_size=4, learning_rate=1e-2, warmup_steps=0)
    result = fit(METHODS.get("awr")(), model, examples, settings, tmp_path / "out")
    assert result.status == "completed"
    assert (result.reward_mean, result.reward_sd) == (0.0, 1.0)
    log = [json.loads(line) for line in (tmp_path / "out" / "train_log.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in log if "loss" in line]
    assert len(losses) == 8
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.slow
def test_train_and_eval_runs_it_in_worker_processes(plugin, tmp_path):
    tiny_task(tmp_path / "tasks" / "tiny")
    where = ("--task", "tiny", "--include-path", tmp_path / "tasks", "--output-path", tmp_path / "out")
    methods = ("--methods", "awr(clip=5),sft", "--strengths", "awr=1;sft=2")
    done = invoke("train-and-eval", *where, *SMALL, *methods, "--plugin", plugin)
    assert done.exit_code == 0, done.output
    specs = {one.record.spec.method.name: one.record.spec for one in stored(tmp_path / "out")}
    assert set(specs) == {"reference", "awr", "sft"}
    assert specs["awr"].method.options == {"clip": 5.0}
    assert specs["awr"].method.source, "its code is part of the cell's identity"
    assert specs["sft"].method.source is None
    assert "awr" in (tmp_path / "out" / "leaderboard" / "index.html").read_text(encoding="utf-8")


def test_an_installed_package_needs_no_flag(plugin, tmp_path, monkeypatch):
    """A distribution is a module, and a dist-info folder whose entry_points.txt names it."""
    shutil.copy(plugin, tmp_path / "awr_package.py")
    info = tmp_path / "awr_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: awr-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[rpo_bench.methods]\nawr = awr_package:AWR\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(METHODS, "_entry_points_read", False)  # as in a process that has just started
    done = invoke("verify", "awr", "--ks", "1", "--taus", "2", "--json")
    assert done.exit_code == 0, done.stderr
    (found,) = json.loads(done.stdout)
    assert found["verdicts"]["on_policy"]["kind"] == "consistent"
    assert Path(sys.modules.pop("awr_package").__file__).parent == tmp_path
