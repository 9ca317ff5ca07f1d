"""A training is a launcher's process in name only: torchrun around it changes nothing."""

import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file
from tiny_models import tiny_decoder
from tiny_task import tiny_task
from tiny_training import examples, load

from trainers import SFT, TrainingSettings, fit
from trainers.launcher import outside_launcher, without_launcher

TORCHRUN = {
    "RANK": "1",
    "WORLD_SIZE": "2",
    "LOCAL_RANK": "1",
    "MASTER_ADDR": "localhost",
    "MASTER_PORT": "29500",
    "TORCHELASTIC_RUN_ID": "none",
}


def test_only_a_launchers_variables_are_left_out():
    kept = {"PATH": "/bin", "HF_HUB_OFFLINE": "1", "SLURM_JOB_ID": "7", "CUDA_VISIBLE_DEVICES": "1"}
    slurm = {"SLURM_PROCID": "1", "ACCELERATE_MIXED_PRECISION": "bf16", "PET_NNODES": "2"}
    assert without_launcher({**kept, **TORCHRUN, **slurm}) == kept


def test_the_variables_come_back_after_the_block_even_if_it_fails(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(KeyError), outside_launcher():
        os.environ["RANK"]
    assert os.environ["RANK"] == "1"


def test_fit_needs_no_other_process_of_the_launcher(tmp_path, monkeypatch):
    """It would otherwise wait for them, and average gradients with theirs."""
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, value)
    settings = TrainingSettings(steps=1, batch_size=4)
    assert fit(SFT(), load(tiny_decoder(tmp_path / "decoder")), examples(), settings, tmp_path).steps == 1


@pytest.mark.timeout(300)
def test_torchrun_around_train_changes_nothing(tmp_path):
    """Two ranks that train with their own seeds get what each gets alone."""
    task = tiny_task(tmp_path / "tiny")
    train = [
        sys.executable, "-m", "rpo_bench", "train", "--task", str(task), "--model", "decoder", "--quiet",
        "--method", "sft", "--steps", "3", "--batch-size", "4", "--probe-every", "0",
    ]  # fmt: skip

    def run(before: list[str], where: str) -> None:
        line = f'exec "$@" --seed ${{RANK:-1}} --output-path {tmp_path}/{where}${{RANK:-1}}'
        subprocess.run([*before, "bash", "-c", line, "bash", *train], check=True, capture_output=True)

    run([], "alone")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    run([*torchrun, "--no-python"], "rank")
    alone, first, second = (
        load_file(tmp_path / name / "checkpoint" / "model.safetensors")
        for name in ("alone1", "rank0", "rank1")
    )
    assert all(torch.equal(alone[name], second[name]) for name in alone)
    assert any(not torch.equal(first[name], second[name]) for name in alone)
