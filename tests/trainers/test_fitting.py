"""The offline engine on tiny real models: accumulation, resume, divergence, adapters, the log."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import tiny_decoder, tiny_encoder_decoder
from tiny_training import examples, load, weights
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

from trainers import (
    DPO,
    DRO,
    KTO,
    QRPO,
    REBEL,
    RPO,
    SFT,
    AStarPO,
    FitResult,
    TrainingSettings,
    fit,
)
from trainers.errors import UserError
from trainers.objective import Batch, LossOutput, OfflineMethod
from trainers.reference import ReferenceCache
from trainers.settings import Lora
from trainers.training_log import TrainingLog, read_training_log

METHODS = [
    SFT(k=2),
    KTO(),
    DRO(),
    DRO.batch_mean(),
    RPO(),
    RPO.released(),
    RPO(partition="reference_samples"),
    QRPO(quantiles="group"),
    AStarPO(),
    DPO(),
    REBEL(),
]
SETTINGS = TrainingSettings(steps=4, batch_size=8, warmup_steps=1, learning_rate=1e-2)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {
        "decoder": tiny_decoder(root / "decoder", scale=10.0),
        "encoder-decoder": tiny_encoder_decoder(root / "encoder-decoder", scale=1.0),
    }


@pytest.fixture(params=["decoder", "encoder-decoder"])
def folder(request: pytest.FixtureRequest, folders: dict[str, Path]) -> Path:
    return folders[request.param]


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_training_moves_the_model_and_leaves_a_checkpoint(
    folder: Path, method: OfflineMethod, tmp_path: Path
):
    model, tokenizer = load(folder), AutoTokenizer.from_pretrained(folder)
    before = weights(model).clone()
    result = fit(method, model, examples(), SETTINGS, tmp_path, tokenizer=tokenizer)
    log = read_training_log(tmp_path / "train_log.jsonl")
    assert result.status == "completed"
    assert result.steps == 4
    assert [record["step"] for record in log] == list(range(5))
    assert all(
        np.isfinite([r["loss"], r["grad_norm"], r["log_ratio"], r["tokens_per_s"]]).all() for r in log[1:]
    )
    assert log[1]["log_ratio"] == pytest.approx(0.0, abs=1e-4)
    assert result.tokens == log[-1]["tokens"] > 0
    assert (weights(model) - before).abs().max() > 1e-3
    names = {path.name for path in (tmp_path / "checkpoint").iterdir()}
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= names
    assert not [name for name in names if name.endswith((".bin", ".pt"))]
    reloaded = (AutoModelForCausalLM if folder.name == "decoder" else AutoModelForSeq2SeqLM).from_pretrained(
        tmp_path / "checkpoint"
    )
    assert torch.equal(weights(reloaded), weights(model))


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_micro_batches_change_memory_and_not_the_result(folder: Path, method: OfflineMethod, tmp_path: Path):
    """8, 8 × 1 and 6 + 2 rows: the same gradients but for rounding, batch-wide statistics included.

    Adam divides small gradients by themselves, so weights may differ by rounding made large; the check is on
    the logged losses and gradient norms, which every step's gradient goes through.
    """
    logs = []
    for size in (None, 1, 6):
        out, settings = tmp_path / str(size), dataclasses.replace(SETTINGS, steps=3, micro_batch_size=size)
        fit(method, load(folder), examples(), settings, out)
        logs.append(read_training_log(out / "train_log.jsonl")[1:])
    for whole, ones, parts in zip(*logs, strict=True):
        for name in ("loss", "grad_norm", "log_ratio"):
            assert ones[name] == pytest.approx(whole[name], rel=2e-3, abs=2e-4)
            assert parts[name] == pytest.approx(whole[name], rel=2e-3, abs=2e-4)


class StopError(Exception):
    pass


@pytest.mark.parametrize("method", [KTO(), DRO()], ids=["kto", "dro"])
def test_a_run_that_was_interrupted_ends_bitwise_like_one_that_was_not(
    folder: Path, method: OfflineMethod, tmp_path: Path
):
    """Stopped in step 3 with a checkpoint at 2: weights, optimiser, value network and log agree."""
    settings = dataclasses.replace(SETTINGS, save_every=2)
    whole = load(folder)
    fit(method, whole, examples(), settings, tmp_path / "whole")

    def stop(step: int, record: dict[str, float]) -> None:
        if step == 3:
            raise StopError

    with pytest.raises(StopError):
        fit(method, load(folder), examples(), settings, tmp_path / "stopped", progress=stop)
    assert not (tmp_path / "stopped" / "checkpoint").exists()
    resumed = load(folder)
    result = fit(method, resumed, examples(), settings, tmp_path / "stopped")
    assert torch.equal(weights(resumed), weights(whole))
    logs = [read_training_log(tmp_path / name / "train_log.jsonl") for name in ("whole", "stopped")]
    clock = {"seconds", "tokens_per_s"}
    without_clock = [[{k: v for k, v in record.items() if k not in clock} for record in log] for log in logs]
    assert without_clock[0] == without_clock[1]
    assert result.tokens == FitResult.load(tmp_path / "whole" / "fit.json").tokens
    assert not (tmp_path / "stopped" / "partial").exists()


def test_a_run_killed_while_it_wrote_a_checkpoint_goes_on_from_the_one_before(
    folders: dict[str, Path], tmp_path: Path
):
    """The trainer's state of step 2 is half there: it goes on from step 1, to the same weights."""
    settings = dataclasses.replace(SETTINGS, save_every=1)
    whole = load(folders["decoder"])
    fit(RPO(), whole, examples(), settings, tmp_path / "whole")

    def stop(step: int, record: dict[str, float]) -> None:
        if step == 3:
            raise StopError

    with pytest.raises(StopError):
        fit(RPO(), load(folders["decoder"]), examples(), settings, tmp_path / "stopped", progress=stop)
    state = tmp_path / "stopped" / "partial" / "checkpoint-2" / "trainer_state.json"
    state.write_text(state.read_text()[:100])
    resumed = load(folders["decoder"])
    fit(RPO(), resumed, examples(), settings, tmp_path / "stopped")
    assert torch.equal(weights(resumed), weights(whole))
    steps = [record["step"] for record in read_training_log(tmp_path / "stopped" / "train_log.jsonl")]
    assert steps == list(range(len(steps)))


def test_a_log_outlives_whatever_happens_while_it_is_taken_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = tmp_path / "train_log.jsonl"
    file.write_text('{"step": 0}\n{"step": 1}\n{"step": 2}\n')

    def killed(*_: object) -> None:
        raise StopError

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(StopError):
            TrainingLog(file, keep_steps=1)
    assert len(read_training_log(file)) == 3
    TrainingLog(file, keep_steps=1).close()
    assert [record["step"] for record in read_training_log(file)] == [0, 1]


def test_a_finished_run_is_not_repeated(folders: dict[str, Path], tmp_path: Path):
    first = fit(RPO(), load(folders["decoder"]), examples(), SETTINGS, tmp_path)
    model = load(folders["decoder"])
    before = weights(model).clone()
    assert fit(RPO(), model, examples(), SETTINGS, tmp_path) == first
    assert torch.equal(weights(model), before)


def test_the_plan_is_the_same_for_every_method_at_a_seed(folders: dict[str, Path], tmp_path: Path):
    hashes = {
        fit(m, load(folders["decoder"]), examples(), SETTINGS, tmp_path / f"{i}").plan_hash
        for i, m in enumerate([KTO(), DRO(), RPO(), RPO.released()])
    }
    assert len(hashes) == 1


def test_the_value_networks_gradient_is_of_one_step_only(folders: dict[str, Path], tmp_path: Path):
    """Without learning, the same batch gives the same value gradient at every step."""
    settings = dataclasses.replace(SETTINGS, batch_size=32, learning_rate=1e-12, warmup_steps=0)
    fit(DRO(), load(folders["decoder"]), examples(), settings, tmp_path)
    norms = [r["value_grad_norm"] for r in read_training_log(tmp_path / "train_log.jsonl")[1:]]
    assert norms == pytest.approx([norms[0]] * 4, rel=1e-4)


@dataclasses.dataclass(frozen=True)
class Exploding(SFT):
    """A loss that isn't a number once it is below k."""

    def loss(self, batch: Batch) -> LossOutput:
        loss = super().loss(batch).loss
        return LossOutput(loss * float("nan") if loss.item() < float(self.k) else loss)


def test_a_loss_that_is_not_finite_ends_the_run_as_a_result(folders: dict[str, Path], tmp_path: Path):
    result = fit(Exploding(k=10_000), load(folders["decoder"]), examples(), SETTINGS, tmp_path)
    assert result.status == "diverged"
    assert result.reason == "the loss became nan at step 1"
    assert result.steps == 0
    assert not (tmp_path / "checkpoint").exists()
    assert FitResult.load(tmp_path / "fit.json") == result


def test_a_reference_that_is_not_the_policy_is_refused_at_step_0(folders: dict[str, Path], tmp_path: Path):
    """The cache says that these are the log-probs of this model; they are another's."""
    cache = ReferenceCache(tmp_path / "cache", "the same name")
    other = load(folders["decoder"])
    with torch.no_grad():
        other.lm_head.weight.mul_(1.5)
    fit(RPO(), other, examples(), SETTINGS, tmp_path / "other", cache=cache)
    with pytest.raises(UserError, match="differs from its reference"):
        fit(RPO(), load(folders["decoder"]), examples(), SETTINGS, tmp_path / "run", cache=cache)


def test_cached_reference_log_probs_give_the_same_run(folder: Path, tmp_path: Path):
    cache = ReferenceCache(tmp_path / "cache", "model")
    models = [load(folder) for _ in range(3)]
    fit(KTO(), models[0], examples(), SETTINGS, tmp_path / "none")
    fit(KTO(), models[1], examples(), SETTINGS, tmp_path / "filled", cache=cache)
    files = sorted(path.name for path in (tmp_path / "cache").iterdir())
    assert len(files) == 2  # of the rows, and of the mismatched pairs
    fit(KTO(), models[2], examples(), SETTINGS, tmp_path / "read", cache=cache)
    assert torch.equal(weights(models[0]), weights(models[1]))
    assert torch.equal(weights(models[1]), weights(models[2]))


def test_a_damaged_cache_file_is_named(folders: dict[str, Path], tmp_path: Path):
    cache = ReferenceCache(tmp_path / "cache", "model")
    fit(RPO(), load(folders["decoder"]), examples(), SETTINGS, tmp_path / "a", cache=cache)
    file = next((tmp_path / "cache").iterdir())
    np.save(file, np.full(3, np.nan))
    with pytest.raises(UserError, match=f"{file.name}.*delete it"):
        fit(RPO(), load(folders["decoder"]), examples(), SETTINGS, tmp_path / "b", cache=cache)


def test_adapters_train_against_the_adapter_free_model(
    folder: Path, tmp_path: Path, recwarn: pytest.WarningsRecorder
):
    model = load(folder)
    settings = dataclasses.replace(SETTINGS, lora=Lora(rank=2))
    result = fit(RPO(), model, examples(), settings, tmp_path)
    log = read_training_log(tmp_path / "train_log.jsonl")
    assert result.status == "completed"
    assert log[1]["log_ratio"] == pytest.approx(0.0, abs=1e-4)
    assert abs(log[-1]["log_ratio"]) > 1e-4
    assert (tmp_path / "checkpoint" / "adapter_model.safetensors").is_file()
    base = {name for name, p in load(folder).named_parameters()}
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    assert trained
    assert not [one for one in recwarn if issubclass(one.category, FutureWarning)], "peft's own concern"
    assert not base & set(trained)


def test_probes_see_the_start_the_end_and_between(folders: dict[str, Path], tmp_path: Path):
    seen = []

    def probe(model: Any) -> dict[str, float]:
        seen.append(float(weights(model).sum()))
        return {"probe_reward": float(len(seen)), "kl": 0.5}

    fit(
        RPO(), load(folders["decoder"]), examples(), dataclasses.replace(SETTINGS, probe_every=3), tmp_path,
        probe=probe,
    )  # fmt: skip
    log = read_training_log(tmp_path / "train_log.jsonl")
    assert [r["step"] for r in log if "probe_reward" in r] == [0, 3, 4]
    assert len(set(seen)) == 3


def test_bf16_is_autocast_over_float32_weights(folder: Path, tmp_path: Path):
    model = load(folder)
    result = fit(RPO(), model, examples(), dataclasses.replace(SETTINGS, dtype="bfloat16"), tmp_path)
    assert result.status == "completed"
    assert result.dtype == "bfloat16"
    assert next(model.parameters()).dtype == torch.float32


def test_rewards_that_are_all_equal_are_refused(folders: dict[str, Path], tmp_path: Path):
    """Seven times 0.1 have a deviation of 1e-17."""
    rows = dataclasses.replace(examples(), rewards=np.ones(32))
    odd = examples().take(np.arange(7))
    for given in (rows, dataclasses.replace(odd, rewards=np.full(7, 0.1))):
        with pytest.raises(UserError, match="All rewards are equal"):
            fit(RPO(), load(folders["decoder"]), given, SETTINGS, tmp_path)


def test_labels_are_asked_for_before_anything_is_computed(folders: dict[str, Path], tmp_path: Path):
    rows = dataclasses.replace(examples(), desirable=None)
    with pytest.raises(UserError, match="desirable/undesirable"):
        fit(KTO(), load(folders["decoder"]), rows, SETTINGS, tmp_path)
