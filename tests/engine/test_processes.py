"""A cell whose model several processes train: the same result, on record, and one sentence if it can't be."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import rank_runs
import torch
from results_factory import cell_spec
from run_cli import SMALL, invoke, stored
from safetensors.torch import load_file
from tiny_task import tiny_task

from rpo_bench.engine.output import Output
from rpo_bench.engine.plan import resources
from rpo_bench.engine.plan.resources import Resources, is_sharded, parallel_of
from rpo_bench.engine.pool.gpus import named_gpus
from rpo_bench.engine.pool.rank_process import RankPlan
from rpo_bench.engine.pool.ranks import rank_environment
from rpo_bench.engine.stages import processes as stage_processes
from rpo_bench.engine.stages.processes import in_processes
from rpo_bench.engine.work import CellWork
from rpo_bench.errors import UserError
from rpo_bench.models.device import VISIBLE
from rpo_bench.spec.schema import CellSpec
from rpo_bench.spec.sections import LoadingSpec, TrainingSpec
from rpo_bench.spec.trust import Trust
from trainers import DPO
from trainers.memory import OutOfMemoryError


@pytest.mark.timeout(300)
def test_a_run_with_two_processes_per_cell_has_the_results_of_one(tmp_path: Path):
    """Reference pass, mismatched pairs, training and measuring, through the command."""
    task = tiny_task(tmp_path / "tiny")
    found = {}
    for processes in (1, 2):
        out = tmp_path / str(processes)
        done = invoke(
            "train-and-eval", "--task", task, "--models", "decoder", "--methods", "kto", "--strengths", "0.1",
            *SMALL, "--gpus-per-cell", processes, "--parallel", "sharded", "--output-path", out, "--quiet",
        )  # fmt: skip
        assert done.exit_code == 0, done.output
        found[processes] = next(one for one in stored(out) if one.record.spec.strength is not None)
    one, two = found[1].record, found[2].record
    assert (one.environment.processes, two.environment.processes) == (1, 2)
    assert one.spec == two.spec
    assert one.metrics["kl"].interval.point == pytest.approx(two.metrics["kl"].interval.point, abs=1e-4)
    weights = [
        load_file(next((tmp_path / str(n) / "work").glob("**/checkpoint/model.safetensors"))) for n in (1, 2)
    ]
    for name, weight in weights[0].items():
        torch.testing.assert_close(weight, weights[1][name], atol=1e-5, rtol=1e-3)


def work_of(tmp_path: Path, spec: CellSpec, processes: RankPlan) -> CellWork:
    output = Output(tmp_path / "out", tmp_path / "work")
    return CellWork(spec, "beta", "decoder", tmp_path, output, Trust(), processes, None, "rpo-bench")


def test_memory_that_runs_out_halves_the_micro_batch_of_all(tmp_path: Path):
    spec = cell_spec(training=TrainingSpec(batch_size=32))
    work = work_of(tmp_path, spec, RankPlan(2))
    with pytest.warns(UserWarning, match="Out of memory: trying again with 8 rows at a time"):
        assert in_processes(rank_runs.fits_below, work, (8,), print) == 8
    with pytest.raises(OutOfMemoryError, match="Out of memory with 2 rows"):
        in_processes(rank_runs.fits_below, _with_rows(work, 2), (1,), print)


def test_what_fewer_rows_do_not_help_ends_after_one_more_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Here without processes, which the test above has."""

    def run(function: Any, arguments: Any, plan: RankPlan, report: Any) -> None:
        raise OutOfMemoryError(16, 1)

    monkeypatch.setattr(stage_processes, "run_ranks", run)
    work = work_of(tmp_path, cell_spec(training=TrainingSpec(batch_size=32)), RankPlan(2))
    with (
        pytest.warns(UserWarning, match="with 8 rows"),
        pytest.raises(OutOfMemoryError, match="with 16 rows"),
    ):
        in_processes(rank_runs.fits_below, work, (16,), print)


def _with_rows(work: CellWork, rows: int) -> CellWork:
    training = work.spec.training.model_copy(update={"micro_batch_size": rows})
    return replace(work, spec=work.spec.model_copy(update={"training": training}))


def test_each_process_sees_one_gpu_of_the_cells():
    given = {VISIBLE: "4,7", "WORLD_SIZE": "9", "PATH": "/bin"}
    gpus = named_gpus("4,7", 2)
    assert [rank_environment(number, given, 1, gpus)[VISIBLE] for number in range(2)] == ["4", "7"]
    assert "WORLD_SIZE" not in rank_environment(0, given, 1, gpus)
    unset = [rank_environment(number, {"PATH": "/bin"}, 1, named_gpus(None, 2)) for number in range(2)]
    assert [one[VISIBLE] for one in unset] == ["0", "1"]
    assert rank_environment(0, {VISIBLE: ""}, 1, ())[VISIBLE] == ""  # --device cpu
    assert VISIBLE not in rank_environment(0, {"PATH": "/bin"}, 1, ())


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (Resources(), False),
        (Resources(gpus=2, parallel="replicated"), False),
        (Resources(gpus=2, parallel="sharded"), True),
        (Resources(gpus=2), False),  # a tiny model fits
    ],
)
def test_only_a_large_model_is_sharded_unless_asked_for(tmp_path: Path, given: Resources, expected: bool):
    spec = cell_spec(model_path=str(tiny_task(tmp_path / "tiny") / "models" / "decoder"))
    assert is_sharded(spec, DPO(), given) is expected
    assert not is_sharded(spec, None, given)


def test_what_a_gpu_has_no_room_for_is_sharded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    spec = cell_spec(model_path=str(tiny_task(tmp_path / "tiny") / "models" / "decoder"))
    monkeypatch.setattr(resources, "device_memory", lambda: 1e5)
    assert is_sharded(spec, DPO(), Resources(gpus=2))


def test_states_that_cannot_be_sharded_are_refused():
    two = Resources(gpus=2, parallel="sharded")
    with pytest.raises(UserError, match="--optim adafactor: only the states of adamw can be sharded: give"):
        is_sharded(cell_spec(training=TrainingSpec(optim="adafactor")), DPO(), two)
    quantised = cell_spec(loading=LoadingSpec(quantization="nf4"))
    with pytest.raises(UserError, match="--quantization nf4: its weights can't be sharded: give --parallel"):
        is_sharded(quantised, DPO(), two)


def test_an_unknown_word_is_one_sentence():
    assert parallel_of("sharded") == "sharded"
    with pytest.raises(UserError, match="--parallel fsdp: choose auto, replicated, sharded"):
        parallel_of("fsdp")
