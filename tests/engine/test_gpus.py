"""Every worker sees GPUs of its own; where there are some, they say how many workers there are."""

import os

import pool_jobs
import pytest
from test_engine_local import Recorder, make

from rpo_bench.engine import execute
from rpo_bench.engine.execute import Runner, check_gpus
from rpo_bench.engine.pool.gpus import gpu_slots, named_gpus, visible_gpus
from rpo_bench.engine.pool.local import LocalPool, available_cores, worker_context
from rpo_bench.engine.pool.run_jobs import run_jobs
from rpo_bench.errors import UserError
from rpo_bench.spec.sections import GenerationSpec, VllmSettings

EIGHT = tuple(map(str, range(8)))


def seen_by_workers(tmp_path, workers, slots):
    """CUDA_VISIBLE_DEVICES of each worker, all of them busy at once."""
    jobs = [make(tmp_path, f"j{i}", "meet", (str(tmp_path / "here"), workers)) for i in range(workers)]
    with LocalPool(worker_context(), pool_jobs.perform, workers, gpu_slots=slots) as pool:
        return sorted(outcome.value for outcome in run_jobs(pool, jobs, Recorder()))


def test_four_workers_on_eight_gpus_see_four_different_ones(tmp_path):
    assert seen_by_workers(tmp_path, 4, gpu_slots(EIGHT, 1)) == ["0", "1", "2", "3"]


def test_more_workers_than_gpus_share_them_evenly(tmp_path):
    assert seen_by_workers(tmp_path, 4, gpu_slots(("5", "7"), 1)) == ["5", "5", "7", "7"]


def test_workers_of_several_gpus_share_none(tmp_path):
    assert seen_by_workers(tmp_path, 2, gpu_slots(EIGHT, 4)) == ["0,1,2,3", "4,5,6,7"]


def test_a_worker_that_died_leaves_its_gpu_to_the_next(tmp_path):
    mark = str(tmp_path / "mark")
    jobs = [make(tmp_path, "once", "die_once", mark), make(tmp_path, "see", "gpus", needs=["once"])]
    with LocalPool(worker_context(), pool_jobs.perform, 1, gpu_slots=("3", "4")) as pool:
        outcomes = {outcome.job.key: outcome for outcome in run_jobs(pool, jobs, Recorder())}
    assert outcomes["see"].value == "3"


def test_workers_are_outside_the_launcher_of_their_parent(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with LocalPool(worker_context(), pool_jobs.perform, 1) as pool:
        (outcome,) = run_jobs(pool, [make(tmp_path, "e", "variable", "WORLD_SIZE")], Recorder())
    assert outcome.value is None
    assert os.environ["WORLD_SIZE"] == "2"


@pytest.mark.parametrize(
    ("gpus", "per_cell", "workers"),
    [(("0",), 1, 1), (EIGHT, 1, 8), (EIGHT, 2, 4), (EIGHT, 3, 2), ((), 1, available_cores()), ((), 64, 1)],
)
def test_gpus_say_how_many_workers_there_are_and_cores_only_without(monkeypatch, gpus, per_cell, workers):
    monkeypatch.setattr(execute, "visible_gpus", lambda: gpus)
    assert Runner(gpus_per_cell=per_cell).most == workers
    assert Runner(workers=3, gpus_per_cell=per_cell).most == 3


def test_more_gpus_per_cell_than_there_are_is_refused():
    with pytest.raises(UserError, match="--gpus-per-cell 2: this machine shows 1 GPU"):
        gpu_slots(("0",), 2)


def test_vllm_on_more_gpus_than_a_worker_sees_is_refused(monkeypatch):
    monkeypatch.setattr(execute, "visible_gpus", lambda: EIGHT)
    generation = GenerationSpec(backend="vllm", vllm=VllmSettings(tensor_parallel_size=2))
    with pytest.raises(UserError, match="add --gpus-per-cell 2"):
        check_gpus(generation, Runner())
    check_gpus(generation, Runner(gpus_per_cell=2))
    check_gpus(GenerationSpec(), Runner())


def test_gpus_have_the_names_of_the_environment():
    assert named_gpus(None, 2) == ("0", "1")
    assert named_gpus("3, 5", 2) == ("3", "5")
    assert named_gpus("GPU-1f,GPU-2e", 2) == ("GPU-1f", "GPU-2e")
    assert named_gpus("0,-1,2", 1) == ("0",)  # what follows an invalid name isn't there
    assert named_gpus("", 0) == ()


def test_without_a_driver_nothing_is_asked(monkeypatch):
    monkeypatch.setattr("rpo_bench.engine.pool.gpus._DRIVERS", ("/nowhere",))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")  # left over from elsewhere
    assert visible_gpus() == ()
