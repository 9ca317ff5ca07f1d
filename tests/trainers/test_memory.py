"""Memory that runs out: half as many rows at a time, the same result, one sentence when nothing fits."""

import dataclasses
import subprocess
import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_models import tiny_decoder
from tiny_training import examples, load, weights

import trainers.offline_step
from trainers import DPO, GRPO, KTO, TrainingSettings, World, fit, fit_online
from trainers.errors import UserError
from trainers.inputs import TokenLayout
from trainers.length_groups import cuts_by_tokens
from trainers.memory import RowsAtOnce, is_out_of_memory
from trainers.reference import compute_logps
from trainers.row_logps import row_logps
from trainers.training_log import read_training_log

SETTINGS = TrainingSettings(steps=3, batch_size=16, warmup_steps=0, learning_rate=1e-2)
FULL = RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes.")
PROMPTS = [[5, 6, 7], [8], [9, 10], [11]]


def room_for(rows: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Lets passes of more rows with gradients fail, as a full device does; returns the passes' rows."""
    passes: list[int] = []

    def limited(model, prompts, responses, layout, device):
        if torch.is_grad_enabled():
            passes.append(len(prompts))
            if len(prompts) > rows:
                raise FULL
        return row_logps(model, prompts, responses, layout, device)

    monkeypatch.setattr(trainers.offline_step, "row_logps", limited)
    return passes


@pytest.mark.parametrize("method", [DPO(), KTO()])
@pytest.mark.filterwarnings("ignore:Out of memory")
def test_training_goes_on_with_smaller_micro_batches_to_the_same_weights(method, tmp_path: Path, monkeypatch):
    folder = tiny_decoder(tmp_path / "decoder")
    plain, full = load(folder), load(folder)
    fit(method, plain, examples(), SETTINGS, tmp_path / "plain")
    passes = room_for(5, monkeypatch)
    fit(method, full, examples(), SETTINGS, tmp_path / "full")
    torch.testing.assert_close(weights(plain), weights(full), atol=1e-4, rtol=1e-3)
    steps = read_training_log(tmp_path / "full" / "train_log.jsonl")[1:]
    assert all(row["micro_batches"] > 1 for row in steps)
    assert passes.count(max(passes)) == 1, "later steps begin with what fits"


def test_what_can_never_fit_is_one_sentence(tmp_path: Path, monkeypatch):
    room_for(0, monkeypatch)
    with (
        pytest.warns(UserWarning, match="trying again with 1 rows"),
        pytest.raises(UserError, match="Out of memory with 1 rows at a time: give --gradient-checkpointing"),
    ):
        fit(KTO(), load(tiny_decoder(tmp_path / "decoder")), examples(), SETTINGS, tmp_path / "out")


def test_other_errors_are_not_taken_for_it():
    assert is_out_of_memory(FULL)
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("shapes differ"))
    with pytest.raises(ZeroDivisionError):
        RowsAtOnce(4).run(4, 1, lambda size: size // 0)


def fails_above(function, rows, count):
    """The function, which fails on inputs of more rows."""

    def limited(*arguments, **more):
        if count(arguments) > rows:
            raise FULL
        return function(*arguments, **more)

    return limited


def test_sampling_scoring_and_steps_of_online_methods_go_on(tmp_path: Path, monkeypatch):
    folder, found = tiny_decoder(tmp_path / "decoder", scale=5.0), {}
    for how in ("plain", "full"):
        if how == "full":
            sample, logps = trainers.drawing.sample, trainers.rollout.shared_token_logps
            limited = fails_above(sample, 1, lambda given: len(given[1]))
            monkeypatch.setattr("trainers.drawing.sample", limited)
            limited = fails_above(logps, 4, lambda given: len(given[1].labels))
            monkeypatch.setattr("trainers.rollout.shared_token_logps", limited)
            monkeypatch.setattr("trainers.fitting_online.shared_token_logps", limited)
        model = load(folder)
        world = World(PROMPTS, lambda _, said: [float(len(one)) for one in said], 1, 6, TokenLayout.of(model))
        expected = pytest.warns(UserWarning, match="Out of memory") if how == "full" else nullcontext()
        with expected:
            fit_online(GRPO(group_size=4), model, world, SETTINGS, tmp_path / how)
        found[how] = weights(model)
        first = read_training_log(tmp_path / how / "train_log.jsonl")[1]
        assert first["logp_mismatch"] == pytest.approx(0.0, abs=1e-5)
    torch.testing.assert_close(found["plain"], found["full"], atol=1e-4, rtol=1e-3)


def test_the_reference_pass_goes_on(tmp_path: Path, monkeypatch):
    model, rows = load(tiny_decoder(tmp_path / "decoder")), examples()
    given = model, rows.prompts, rows.responses, TokenLayout.of(model), "float32"
    expected = compute_logps(*given)
    own = trainers.reference.sequence_logps
    limited = fails_above(own, 3, lambda given: len(given[1].labels))
    monkeypatch.setattr("trainers.reference.sequence_logps", limited)
    with pytest.warns(UserWarning, match="trying again with"):
        found = compute_logps(*given)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_micro_batches_hold_so_many_tokens(tmp_path: Path):
    folder = tiny_decoder(tmp_path / "decoder")
    plain, cut = load(folder), load(folder)
    fit(DPO(), plain, examples(), SETTINGS, tmp_path / "plain")
    fit(DPO(), cut, examples(), dataclasses.replace(SETTINGS, tokens_per_micro_batch=40), tmp_path / "cut")
    torch.testing.assert_close(weights(plain), weights(cut), atol=1e-4, rtol=1e-3)
    assert all(
        row["micro_batches"] > 2 for row in read_training_log(tmp_path / "cut" / "train_log.jsonl")[1:]
    )


def test_mismatched_pairs_are_cut_by_tokens_too(tmp_path: Path, monkeypatch):
    """KTO's passes over them hold no more than its micro-batches."""
    tokens: list[int] = []

    def counted(model, prompts, responses, layout, device):
        tokens.append(sum(map(len, prompts)) + sum(map(len, responses)))
        return row_logps(model, prompts, responses, layout, device)

    monkeypatch.setattr(trainers.offline_step, "row_logps", counted)
    settings = dataclasses.replace(SETTINGS, tokens_per_micro_batch=40)
    fit(KTO(), load(tiny_decoder(tmp_path / "decoder")), examples(), settings, tmp_path / "out")
    assert max(tokens) <= 40


@pytest.mark.parametrize("online", [False, True])
def test_an_optimiser_without_room_for_its_states_is_one_sentence(online: bool, tmp_path: Path, monkeypatch):
    def full(*_, **__):
        raise FULL

    monkeypatch.setattr(torch.optim.AdamW, "step", full)
    model = load(tiny_decoder(tmp_path / "decoder", scale=5.0))
    world = World(PROMPTS, lambda _, said: [float(len(one)) for one in said], 1, 6, TokenLayout.of(model))
    out = tmp_path / "out"
    train = partial(fit, DPO(), model, examples(), SETTINGS, out)
    if online:
        train = partial(fit_online, GRPO(group_size=4), model, world, SETTINGS, out)
    with pytest.raises(UserError, match="Out of memory: give --gradient-checkpointing, --optim adafactor"):
        train()


def test_cuts_hold_the_tokens_asked_for_and_one_unit_at_least():
    lengths = np.array([1, 2, 3, 4, 20, 21])
    assert cuts_by_tokens(lengths, 6, 6) == [slice(0, 3), slice(3, 4), slice(4, 5), slice(5, 6)]
    assert cuts_by_tokens(lengths, 2, None) == [slice(0, 2), slice(2, 4), slice(4, 6)]
    assert cuts_by_tokens(lengths, 6, None) == [slice(0, 6)]


LIMITED = """
import resource, sys, warnings
from pathlib import Path
import numpy as np, torch
torch.set_num_threads(1)
from transformers import LlamaConfig, LlamaForCausalLM
from trainers import SFT, Examples, TrainingSettings, fit
from trainers.training_log import read_training_log
torch.manual_seed(0)
model = LlamaForCausalLM(LlamaConfig(
    vocab_size=64, hidden_size=128, intermediate_size=512, num_hidden_layers=4, num_attention_heads=4,
    pad_token_id=0, eos_token_id=1, bos_token_id=None))
rng = np.random.default_rng(0)
prompts = [rng.integers(2, 64, size=120).tolist() for _ in range(64)]
rows = Examples(prompts, [[5, 6, 1]] * 64, np.arange(64.0), np.arange(64))
settings = TrainingSettings(steps=2, batch_size=64, warmup_steps=0)
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
room = used + int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_AS, (room, room))
fit(SFT(k=1), model, rows, settings, Path(sys.argv[1]))
print(read_training_log(Path(sys.argv[1]) / "train_log.jsonl")[-1]["micro_batches"])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a limit on memory as Linux has it")
def test_a_process_that_really_has_too_little_memory_goes_on(tmp_path: Path):
    """64 rows of 123 tokens keep some 400 MB of activations; there is room for 220 MB."""
    command = [sys.executable, "-c", LIMITED, str(tmp_path / "out"), str(220_000_000)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert float(done.stdout) > 1
    assert "Out of memory: trying again with 32 rows at a time." in done.stderr
