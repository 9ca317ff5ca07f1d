"""Several processes that train one model do what one process does: each step, at the end, and resumed."""

import dataclasses
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rank_runs
import torch
from safetensors.torch import load_file
from tiny_models import tiny_decoder, tiny_encoder_decoder
from tiny_training import load

from rpo_bench.engine.pool.rank_process import RankPlan
from rpo_bench.engine.pool.ranks import run_ranks
from rpo_bench.errors import UserError
from trainers import DPO, DRO, GRPO, KTO, PPO, RPO, SFT, TrainingSettings
from trainers.memory import OutOfMemoryError
from trainers.ranks import ALONE, Ranks
from trainers.settings import Lora
from trainers.sharding import Spread
from trainers.training_log import read_training_log

#: Steps that are small against a model's numbers: Adam would make rounding errors of tiny gradients large.
SETTINGS = TrainingSettings(
    steps=4, batch_size=16, warmup_steps=2, learning_rate=1e-3, probe_every=2, save_every=2
)
CUT = dataclasses.replace(SETTINGS, micro_batch_size=4)
RECOMPUTED = dataclasses.replace(CUT, gradient_checkpointing=True)
ADAPTERS = dataclasses.replace(SETTINGS, lora=Lora(rank=2))
ODD = dataclasses.replace(SETTINGS, batch_size=14, micro_batch_size=4)  # 7 pairs, or 3 groups of 4
BF16 = dataclasses.replace(SETTINGS, dtype="bfloat16")
RUNS: dict[str, tuple[Any, str, TrainingSettings]] = {
    "sft": (SFT(), "decoder", CUT),
    "kto": (KTO(), "decoder", CUT),
    "dro": (DRO(), "decoder", SETTINGS),
    "rpo": (RPO(), "decoder", ODD),
    "dpo": (DPO(), "decoder", ODD),
    "ppo": (PPO(group_size=4), "decoder", CUT),
    "grpo": (GRPO(group_size=4), "decoder", ODD),
    "kto recomputed": (KTO(), "encoder-decoder", RECOMPUTED),
    "dro encoder-decoder": (DRO(), "encoder-decoder", CUT),
    "ppo encoder-decoder": (PPO(group_size=4), "encoder-decoder", RECOMPUTED),
    "dpo adapters": (DPO(), "decoder", ADAPTERS),
    "grpo adapters": (GRPO(group_size=4), "decoder", ADAPTERS),
    "rpo in rounds": (RPO(rounds=2, samples=4), "decoder", SETTINGS),
}
MODES = {"sharded": True, "replicated": False}


def folder_of(root: Path, architecture: str) -> Path:
    if architecture == "decoder":
        return tiny_decoder(root / architecture, scale=5.0)
    return tiny_encoder_decoder(root / architecture)  # larger weights would leave it tiny gradients


def arguments(root: Path, out: Path) -> list[tuple[Any, ...]]:
    return [(method, root / kind, out / name, settings) for name, (method, kind, settings) in RUNS.items()]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trainings of one process."""
    root = tmp_path_factory.mktemp("ranks")
    for architecture in ("decoder", "encoder-decoder"):
        folder_of(root, architecture)
    rank_runs.train_all(ALONE, arguments(root, root / "alone"), resume=False)
    return root


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", MODES)
def test_two_processes_do_what_one_does(root: Path, mode: str):
    """Each training is stopped after a checkpoint and goes on. One test, as they share their processes."""
    out = root / mode
    run_ranks(rank_runs.train_all, (arguments(root, out), True), RankPlan(2, MODES[mode]))
    for name in RUNS:
        check_log(
            *(read_training_log(each / name / "train_log.jsonl") for each in (root / "alone", out)), name
        )
        moved, difference = distances(root, out, name)
        assert difference < 1e-3 * moved, name
        assert not (out / name / "partial").exists()


def check_log(alone: list[dict[str, Any]], both: list[dict[str, Any]], name: str) -> None:
    """Each step of two processes has the numbers of one."""
    assert [row["step"] for row in both] == [0, 1, 2, 3, 4], name
    numbers = {"loss", "grad_norm", "value_grad_norm", "kl", "reward", "probe_weight"}
    for expected, found in zip(alone, both, strict=True):
        for number in expected.keys() & numbers:
            assert found[number] == pytest.approx(expected[number], rel=2e-3, abs=2e-6), (name, number)
        assert found["tokens"] == expected["tokens"], name


def distances(root: Path, together: Path, name: str) -> tuple[float, float]:
    """How far training moved the weights, and how far the two checkpoints are apart."""
    architecture, adapters = RUNS[name][1], RUNS[name][2].lora is not None
    file = "adapter_model.safetensors" if adapters else "model.safetensors"
    one, two = (load_file(out / name / "checkpoint" / file) for out in (root / "alone", together))
    assert one.keys() == two.keys()
    start = {} if adapters else load(root / architecture).state_dict()
    zero = torch.zeros(())
    moved = sum(float((w - start.get(key, zero)).norm() ** 2) for key, w in one.items()) ** 0.5
    apart = sum(float((w - two[key]).norm() ** 2) for key, w in one.items()) ** 0.5
    return moved, apart


@pytest.mark.parametrize("method", [DRO(), PPO(group_size=4)], ids=["dro", "ppo"])
def test_a_killed_process_ends_the_training_which_any_number_resumes(root: Path, tmp_path: Path, method: Any):
    run = (method, root / "decoder", tmp_path / "killed", SETTINGS)
    with pytest.raises(UserError, match="Process 1 of those that train this model was killed by signal 9"):
        run_ranks(rank_runs.killed, (run,), RankPlan(2, sharded=True))
    assert len(read_training_log(tmp_path / "killed" / "train_log.jsonl")) < 5
    rank_runs.train(ALONE, *run)
    rank_runs.train(ALONE, method, root / "decoder", tmp_path / "whole", SETTINGS)
    found, expected = (
        load_file(tmp_path / out / "checkpoint" / "model.safetensors") for out in ("killed", "whole")
    )
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, atol=1e-5, rtol=1e-3)


def test_a_process_that_fails_speaks_for_all():
    with pytest.raises(UserError, match=r"^Lower the flag\.$"):
        run_ranks(rank_runs.fails, (UserError("Lower the flag."),), RankPlan(2))
    with pytest.raises(UserError, match=r"^ZeroDivisionError: no rows$"):
        run_ranks(rank_runs.fails, (ZeroDivisionError("no rows"),), RankPlan(2))


def test_memory_that_runs_out_in_one_process_is_told_with_the_rows(root: Path, tmp_path: Path):
    run = (DPO(), root / "decoder", tmp_path / "full", SETTINGS)
    with pytest.raises(OutOfMemoryError, match="Out of memory with 8 rows at a time: give") as caught:
        run_ranks(rank_runs.out_of_memory, (run, 4), RankPlan(2, sharded=True))
    assert (caught.value.rows, caught.value.least) == (8, 2)


def test_a_process_that_shards_does_not_try_again_by_itself(root: Path, tmp_path: Path):
    """A backward pass that memory stopped leaves FSDP2 in the middle: its weights wouldn't move any more."""
    run = (DPO(), root / "decoder", tmp_path / "full", SMALL_STEPS)
    with pytest.raises(OutOfMemoryError, match="Out of memory with 16 rows at a time: give"):
        run_ranks(rank_runs.out_of_memory, (run, 4), RankPlan(1, sharded=True))


@pytest.mark.parametrize("rows", [None, 3])
def test_a_reference_pass_has_as_many_rows_as_a_micro_batch(root: Path, tmp_path: Path, rows: int | None):
    """Where memory that runs out is tried again by all; the numbers are those of one process."""
    alone = rank_runs.reference_logps_of(ALONE, root / "decoder", None)[0]
    found, passes = run_ranks(rank_runs.reference_logps_of, (root / "decoder", rows), RankPlan(2, True))
    np.testing.assert_allclose(found, alone, atol=1e-4)
    assert rows is None or max(passes) <= rows


def test_shares_are_neighbours_that_cover_everything():
    for length in range(7):
        parts = [list(range(length))[Ranks(rank, 3).share(length)] for rank in range(3)]
        assert [*chain(*parts)] == list(range(length))
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_process_alone_needs_no_other():
    assert ALONE.every(3) == [3]
    assert ALONE.totals({"loss": 2.0}) == {"loss": 2.0}
    assert ALONE.in_step([1, 2], 0) == [(1, True), (2, True)]
    model = torch.nn.Linear(2, 2)
    with Spread(model).whole() as whole:
        assert whole is model


#: Steps of about 1e-5: a bf16 weight of 0.05 has its neighbours 2e-4 away, and would never move.
SMALL_STEPS = dataclasses.replace(
    SETTINGS,
    steps=8,
    learning_rate=1e-5,
    warmup_steps=0,
    probe_every=0,
    save_every=3,
    dtype="bfloat16-weights",
)
HALF_RUNS: dict[str, tuple[Any, str, TrainingSettings]] = {
    "dpo": (DPO(), "decoder", SMALL_STEPS),
    "dro": (DRO(), "encoder-decoder", SMALL_STEPS),
    "ppo": (PPO(group_size=4), "decoder", SMALL_STEPS),
    "dpo adapters": (DPO(), "decoder", dataclasses.replace(SMALL_STEPS, lora=Lora(rank=2))),
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("processes", [1, 2])
def test_bfloat16_weights_move_by_steps_that_only_float32_can_hold(
    root: Path, tmp_path: Path, processes: int
):
    runs = [
        (method, root / kind, tmp_path / "half" / name, settings)
        for name, (method, kind, settings) in HALF_RUNS.items()
    ]
    run_ranks(rank_runs.train_all, (runs, True), RankPlan(processes, sharded=True))
    for name, (method, kind, settings) in HALF_RUNS.items():
        if settings.lora is not None:
            continue  # their first weights are drawn by each kind of training
        in_float32 = dataclasses.replace(settings, dtype="float32")
        rank_runs.train(ALONE, method, root / kind, tmp_path / "whole" / name, in_float32)
        start = load(root / kind).state_dict()
        half, whole = (
            load_file(tmp_path / out / name / "checkpoint" / "model.safetensors") for out in ("half", "whole")
        )
        moves = [torch.cat([(found[key] - start[key]).flatten() for key in whole]) for found in (half, whole)]
        assert float(moves[0].norm()) > 0.5 * float(moves[1].norm())
        assert float(torch.cosine_similarity(*moves, dim=0)) > 0.6, name


def test_one_process_makes_no_copies_of_its_weights(root: Path, tmp_path: Path):
    with pytest.raises(UserError, match="--dtype bfloat16-weights: its copies come from sharding"):
        rank_runs.train(ALONE, DPO(), root / "decoder", tmp_path, SMALL_STEPS)
