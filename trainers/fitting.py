"""Training by an offline method: from a model and examples to a checkpoint."""

import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from trainers.adapters import changes_base, trial_logps
from trainers.arguments import arguments_of
from trainers.checkpoints import complete_checkpoints
from trainers.device import process_device
from trainers.errors import UserError
from trainers.examples import Examples
from trainers.gradients import GradientScales
from trainers.inputs import TokenLayout
from trainers.kept_checkpoints import KeptCheckpoints, save_policy
from trainers.launcher import outside_launcher
from trainers.layouts import checked_layout
from trainers.memory import ADVICE, peak_memory_bytes, reset_peak_memory, telling_of_memory
from trainers.objective import Need, OfflineMethod
from trainers.offline import DivergedError, OfflineTrainer, Probe, Progress
from trainers.offline_step import TrainingInputs
from trainers.precision import resolve_dtype
from trainers.prepare import prepare
from trainers.ranks import ALONE, Ranks
from trainers.rates import learning_rates
from trainers.recomputing import enable_recomputing
from trainers.reference import ReferenceCache
from trainers.seen import seen_offline
from trainers.settings import FitResult, Lora, TrainingSettings
from trainers.sharding import Spread, lockstep_layout
from trainers.training_log import TrainingLog, read_training_log
from trainers.value import ValueNetwork

__all__ = ["finish", "fit", "with_adapters"]


@outside_launcher()
def fit(
    method: OfflineMethod,
    model: Any,
    examples: Examples,
    settings: TrainingSettings,
    out_dir: Path,
    *,
    cache: ReferenceCache | None = None,
    tokenizer: Any = None,
    probe: Probe | None = None,
    progress: Progress | None = None,
    ranks: Ranks = ALONE,
) -> FitResult:
    """Trains ``model`` by ``method``; the model as it is given is the reference.

    All output is in ``out_dir``: ``train_log.jsonl`` grows during training; ``checkpoint/`` (safetensors,
    with the tokenizer) is written at the end, followed by ``fit.json``. Called again on the same folder it
    returns the finished result, or resumes from the latest checkpoint under ``partial/``, with the same
    result as an uninterrupted run.

    Args:
        method: the objective.
        model: a transformers causal or encoder-decoder model; it is changed in place.
        examples: the tokenised rows.
        settings: everything else.
        out_dir: the output folder, created if missing.
        cache: cache of reference log-probs, or None.
        tokenizer: saved with the checkpoint; gives the padding token.
        probe: measures the policy every ``settings.probe_every`` steps, at the start and at the end.
        progress: called after every optimiser step.
        ranks: the processes that train it together; each calls this with the same arguments.

    Raises:
        UserError: the data lacks what the method needs, or the model isn't its reference at step 0.
    """
    if (out_dir / "fit.json").is_file():
        return FitResult.load(out_dir / "fit.json")
    kept = KeptCheckpoints(out_dir, settings.keep_checkpoints, tokenizer)
    kept.check(bool(probe and settings.probe_every))
    device = process_device()
    if not ranks.sharded:  # else each rank moves its part
        model.to(device)
    dtype = resolve_dtype(settings.dtype, model)
    layout = TokenLayout.of(model, None if tokenizer is None else tokenizer.pad_token_id, tokenizer)
    layout = lockstep_layout(checked_layout(model, layout), ranks)
    if settings.gradient_checkpointing:
        enable_recomputing(model)
    rates = learning_rates(method, model, settings)
    torch.manual_seed(settings.seed)
    value = value_of(method, model)
    adapted = model if settings.lora is None else with_adapters(model, settings.lora)
    policy = Spread(adapted, ranks, device, dtype)
    with without_adapters(policy.module, settings.lora is not None):
        cache = replace(cache or ReferenceCache(), ranks=ranks, rows=settings.micro_batch_size)
        data = prepare(method, policy.module, examples, settings, cache, layout, dtype)

    inputs = TrainingInputs(
        method, data, layout, dtype, settings.micro_batch_size, settings.tokens_per_micro_batch, ranks
    )
    trainer = OfflineTrainer(
        policy,
        arguments_of(settings, rates[0], out_dir / "partial"),
        inputs,
        None if value is None else Spread(value, ranks, device, dtype),
        rates[1],
        GradientScales(settings.clipping, settings.max_grad_norm),
    )
    trainer.probe, trainer.probe_every, trainer.progress = probe, settings.probe_every, progress
    trainer.kept = kept
    reset_peak_memory(device)
    reason = run_trainer(trainer, settings, out_dir)
    result = FitResult(
        status="completed" if reason is None else "diverged",
        reason=reason,
        steps=trainer.state.global_step,
        seconds=read_training_log(out_dir / "train_log.jsonl")[-1].get("seconds", 0.0),
        tokens=trainer.tokens,
        peak_memory_bytes=max(ranks.every(peak_memory_bytes(device))),
        dtype=dtype,
        plan_hash=data.plan.hash,
        reward_mean=data.reward_mean,
        reward_sd=data.reward_sd,
        seen=seen_offline(
            data.units,
            data.examples.groups,
            data.lengths,
            data.plan.batches[: trainer.state.global_step],
            len(examples),
        ),
    )
    return finish(result, policy, tokenizer, out_dir)


def finish(result: FitResult, policy: Spread, tokenizer: Any, out_dir: Path) -> FitResult:
    """Saves the checkpoint of a run that didn't diverge, then the result, and deletes partial checkpoints."""
    with policy.whole() as whole:
        if policy.ranks.first:
            if result.reason is None:
                save_policy(whole, tokenizer, out_dir / "checkpoint")
            result.save(out_dir / "fit.json")
            shutil.rmtree(out_dir / "partial", ignore_errors=True)
    policy.ranks.every(None)  # nobody goes on before all is written
    return result


def run_trainer(trainer: OfflineTrainer, settings: TrainingSettings, out_dir: Path) -> str | None:
    """Trains to the end, from the latest checkpoint when there is one; returns why it diverged, if so."""
    ranks, file = trainer.ranks, out_dir / "train_log.jsonl"
    checkpoint = ranks.from_first(next(complete_checkpoints(out_dir / "partial"), None))
    done = -1 if checkpoint is None else int(checkpoint.name.rpartition("-")[2])
    log = TrainingLog(file, done, settings.tracked) if ranks.first else None
    if ranks.first and trainer.kept is not None:
        trainer.kept.resume(done)
    trainer.training_log = log
    earlier = ranks.from_first(read_training_log(file))
    try:
        if earlier:
            trainer.resume_counts(earlier[-1])
        else:
            trainer.write_log(0, {"seconds": 0.0, "tokens": 0, **trainer.run_probe(0)})
        with telling_of_memory(ADVICE):  # AdamW makes its states in the first step
            trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    except DivergedError as error:
        return str(error)
    finally:
        if log is not None:
            log.close()
    return None


def value_of(method: OfflineMethod, model: Any) -> ValueNetwork | None:
    """The method's value network, initialised from the model; None for methods without."""
    return ValueNetwork(model) if Need.VALUE in method.needs else None


def with_adapters(model: Any, lora: Lora) -> Any:
    """The model with trainable low-rank adapters in it; its own weights are frozen.

    Raises:
        UserError: with them switched off it isn't the model any more, which is the reference.
    """
    from peft import LoraConfig, get_peft_model

    seq2seq = model.config.is_encoder_decoder
    targets = "all-linear" if lora.target_modules is None else list(lora.target_modules)
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=0.0,
        target_modules=targets,
        task_type="SEQ_2_SEQ_LM" if seq2seq else "CAUSAL_LM",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of transformers, about what peft asks it
        before = trial_logps(model)
        adapted = get_peft_model(model, config)
    if changes_base(adapted, before):
        raise UserError(
            "The model with its adapters switched off isn't the model that they were put on, which is the "
            "reference: name other target_modules, or train all weights."
        )
    return adapted


@contextmanager
def without_adapters(model: Any, adapters: bool) -> Iterator[None]:
    """A block in which the model has no adapters; nothing changes if it never had."""
    if not adapters:
        yield
        return
    trained = [p for p in model.parameters() if p.requires_grad]
    with model.disable_adapter():
        for (
            p
        ) in trained:  # peft froze them too, and FSDP2 takes its formats from what trains in the first pass
            p.requires_grad_(True)
        yield
