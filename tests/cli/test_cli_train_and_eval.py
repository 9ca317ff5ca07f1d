"""``rpo-bench train-and-eval`` from end to end on a tiny task, with what can go wrong on the way."""

import json
import shlex
from pathlib import Path

import pytest
from run_cli import SMALL, invoke, outcome, stored
from tiny_task import tiny_task, write_rows

PLUGIN = """
import dataclasses, os, signal
from pathlib import Path
import torch
from rpo_bench.methods import METHODS
from trainers.objective import LossOutput
from trainers.sft import SFT

MARK = Path({mark!r})

@dataclasses.dataclass(frozen=True)
class Odd(SFT):
    how: str = "raise"
    def loss(self, batch):
        if self.how == "raise":
            raise RuntimeError("this loss is broken")
        if self.how == "nan":
            return LossOutput(batch.policy_logps.mean() * float("nan"))
        if self.how == "die" and not MARK.exists():
            MARK.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().loss(batch)

METHODS.add("odd", Odd)
"""


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    root = tmp_path_factory.mktemp("tasks")
    tiny_task(root / "tiny", encoder_decoder=True)
    return root


@pytest.fixture
def run(tasks, tmp_path):
    """Runs train-and-eval on the tiny task into ``tmp_path/out`` unless told otherwise."""

    def go(*args, code=0, output=tmp_path / "out"):
        task = ["--task", "tiny", "--include-path", tasks, "--output-path", output]
        done = invoke("train-and-eval", *task, *SMALL, *args)
        assert done.exit_code == code, done.output
        assert "Traceback" not in done.output
        return done

    return go


@pytest.fixture(scope="module")
def plugin_file(tmp_path_factory):
    file = tmp_path_factory.mktemp("plugin") / "odd_plugin.py"
    file.write_text(PLUGIN.format(mark=str(file.with_name("mark"))))
    return file


@pytest.fixture
def plugin(plugin_file, monkeypatch):
    monkeypatch.setenv("RPO_BENCH_PLUGIN", "")  # what --plugin leaves there is put back afterwards
    return plugin_file


def files(folder):
    return {path: path.stat().st_mtime_ns for path in sorted(folder.rglob("*")) if path.is_file()}


def test_from_nothing_to_the_page_and_then_nothing_twice(run, tmp_path):
    done = run("--methods", "sft,kto,rpo", "--strengths", "sft=2;kto=0.1;rpo=0.5")
    found = {s.record.spec.method.name: s for s in stored(tmp_path / "out")}
    assert set(found) == {"reference", "sft", "kto", "rpo"}
    for name, one in found.items():
        assert one.record.status == "completed"
        assert one.record.metrics["reward"].scored == 12  # 6 prompts × 2 samples
        assert (one.folder / "train_log.jsonl.gz").exists() == (name != "reference")
    assert found["reference"].record.metrics["kl"].interval.point == 0
    assert found["kto"].record.metrics["kl"].interval.point != 0
    assert found["sft"].record.cost.train_tokens > 0
    page = tmp_path / "out/leaderboard/index.html"
    assert page.is_file()
    assert str(page) in done.stdout
    assert "kto" in done.stdout
    assert "4 cells done" in done.stderr
    assert "Overhead: " in done.stderr

    before = files(tmp_path / "out/results") | files(tmp_path / "out/work/cells")
    again = run("--methods", "sft,kto,rpo", "--strengths", "sft=2;kto=0.1;rpo=0.5")
    assert "All 4 cells were done already" in again.stderr
    assert files(tmp_path / "out/results") | files(tmp_path / "out/work/cells") == before

    more = run(
        "--methods", "sft", "--strengths", "2", "--seeds", "0,1", "--models", "decoder,encoder-decoder"
    )
    assert "4 cells done" in more.stderr  # seed 1, both seeds on the other model, its reference
    assert "2 were done already" in more.stderr
    after = files(tmp_path / "out/results")
    assert {path: after[path] for path in before if path in after} == {
        p: t for p, t in before.items() if p in after
    }


def test_results_do_not_depend_on_workers_or_order(run, tmp_path):
    cells = ("--methods", "dro,rpo", "--strengths", "0.5", "--seeds", "0,1")
    run(*cells, "--workers", "1")
    run(*cells, "--workers", "3", output=tmp_path / "other")
    one, other = ([outcome(s.record) for s in stored(tmp_path / name)] for name in ("out", "other"))
    assert len(one) == 5
    assert one == other


def test_the_recorded_command_reproduces_the_row(run, tmp_path):
    run("--methods", "rpo(partition=leave_one_out)", "--strengths", "0.3", "--gen-kwargs", "temperature=0.7")
    record = next(s.record for s in stored(tmp_path / "out") if s.record.spec.strength == 0.3)
    done = invoke(*shlex.split(record.command)[1:], "--output-path", tmp_path / "again")
    assert done.exit_code == 0, done.output
    again = {s.record.cell: s.record for s in stored(tmp_path / "again")}
    assert outcome(again[record.cell]) == outcome(record)


def test_another_evaluation_trains_nothing_anew(run, tmp_path):
    cell = ("--methods", "rpo", "--strengths", "0.3", "--work-path", tmp_path / "work")
    run(*cell)
    trained = files(tmp_path / "work/cells")
    fitted = {path: time for path, time in trained.items() if "train" in path.parent.parts[-2:]}
    fitted = {
        path: time for path, time in fitted.items() if path.name != "README.md"
    }  # tells what was measured
    run(*cell, "--n-samples", "3", output=tmp_path / "out3")
    assert fitted
    assert {path: files(tmp_path / "work/cells")[path] for path in fitted} == fitted
    assert {s.record.metrics["reward"].scored for s in stored(tmp_path / "out3")} == {18}


def test_a_failing_cell_takes_no_other_with_it_and_is_named_with_its_log(run, tmp_path, plugin):
    cells = ("--methods", "odd,sft", "--strengths", "2", "--plugin", plugin)
    done = run(*cells, code=1)
    assert {s.record.spec.method.name for s in stored(tmp_path / "out")} == {"reference", "sft"}
    line = next(line for line in done.stderr.splitlines() if "this loss is broken" in line and "Log:" in line)
    log = next(Path(tmp_path / "out/work/logs").glob("odd-*.log"))
    assert str(log.name) in line
    assert "Traceback" in log.read_text()
    assert "1 cell without a result" in done.stderr

    done = run("--methods", "odd(how=sound),sft", "--strengths", "2", "--plugin", plugin)
    assert "1 cell done" in done.stderr


def test_a_killed_worker_costs_its_cell_one_more_try(run, tmp_path, plugin):
    run("--methods", "odd(how=die)", "--strengths", "2", "--plugin", plugin)
    assert plugin.with_name("mark").exists()
    odd = next(s.record for s in stored(tmp_path / "out") if s.record.spec.method.name == "odd")
    assert odd.status == "completed"


def test_a_diverged_run_is_a_result(run, tmp_path, plugin):
    done = run("--methods", "odd(how=nan)", "--strengths", "2", "--plugin", plugin)
    odd = next(s.record for s in stored(tmp_path / "out") if s.record.spec.method.name == "odd")
    assert odd.status == "diverged"
    assert "nan" in odd.reason
    assert odd.metrics == {}
    assert "2 cells done" in done.stderr


def test_another_runs_folder_is_refused_and_left_alone(run, tmp_path):
    run("--methods", "sft", "--strengths", "2")
    before = files(tmp_path / "out/results")
    done = run("--methods", "sft", "--strengths", "2", "--steps", "5", code=2)
    assert done.stderr.strip().count("\n") == 0
    assert "training.steps is 3 there and 5 here" in done.stderr
    assert files(tmp_path / "out/results") == before


def test_a_dry_run_estimates_and_writes_nothing(run, tmp_path):
    done = run("--methods", "sft,kto", "--strengths", "2", "--dry-run")
    assert "Estimate: " in done.stdout
    assert "measured now" in done.stdout
    assert not (tmp_path / "out").exists()
    run("--methods", "sft", "--strengths", "2")
    done = run("--methods", "sft,kto", "--strengths", "2", "--dry-run")
    assert "for 1 cell still to do" in done.stdout


def test_ones_own_rows_with_a_reward_function(tmp_path, tasks):
    rows = write_rows(tmp_path / "mine.jsonl")
    (tmp_path / "score.py").write_text("def f(prompts, responses):\n    return [len(r) for r in responses]\n")
    done = invoke(
        "train-and-eval", "--data", rows, "--models", tasks / "tiny/models/decoder", "--methods", "rpo",
        "--strengths", "0.5", "--reward", f"python:{tmp_path / 'score.py'}:f", "--gen-kwargs",
        "max_new_tokens=4", "--output-path", tmp_path / "out", *SMALL,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    records = [s.record for s in stored(tmp_path / "out")]
    assert {record.spec.task for record in records} == {"mine"}
    assert all(record.metrics["reward"].scored for record in records)
    assert not any(json.loads(p.read_text())["spec"]["data"]["test_fraction"] != 0.2
                   for p in (tmp_path / "out/results").rglob("result.json"))  # fmt: skip
