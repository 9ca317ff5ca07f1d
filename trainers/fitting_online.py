"""Training by an online method: from a model and a reward to a checkpoint."""

import copy
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainers.critic import Critic
from trainers.device import process_device
from trainers.drawing import World
from trainers.errors import UserError
from trainers.fitting import finish, with_adapters, without_adapters
from trainers.inputs import ModelInputs
from trainers.kept_checkpoints import KeptCheckpoints
from trainers.launcher import outside_launcher
from trainers.layouts import checked_critic, checked_layout
from trainers.memory import ADVICE, peak_memory_bytes, reset_peak_memory, telling_of_memory
from trainers.offline import DivergedError, Probe, Progress, probed_by
from trainers.online import OnlineMethod
from trainers.precision import resolve_dtype
from trainers.ranks import ALONE, Ranks
from trainers.recomputing import enable_recomputing, prepare_layers, recomputed_layers, recomputing
from trainers.rollout import OnlineTrainer
from trainers.rollout_backend import RolloutBackend
from trainers.settings import FitResult, TrainingSettings
from trainers.sharding import Spread, lockstep_layout
from trainers.shared_rows import shared_token_logps
from trainers.training_log import TrainingLog, read_training_log
from trainers.whole_files import whole_file


@outside_launcher()
def fit_online(
    method: OnlineMethod,
    model: Any,
    world: World,
    settings: TrainingSettings,
    out_dir: Path,
    *,
    tokenizer: Any = None,
    probe: Probe | None = None,
    progress: Progress | None = None,
    ranks: Ranks = ALONE,
    backend: RolloutBackend | None = None,
) -> FitResult:
    """Trains ``model`` by ``method`` on its own rollouts; the model as it is given is the reference.

    ``settings.steps`` counts iterations, ``settings.batch_size`` the rollouts of an iteration. The output
    folder, resuming and ``ranks`` work as in ``fit``. ``backend`` samples in place of the policy's passes.

    Raises:
        UserError: the reward function fails, or a group would be too small for the method.
    """
    if (out_dir / "fit.json").is_file():
        return FitResult.load(out_dir / "fit.json")
    kept = KeptCheckpoints(out_dir, settings.keep_checkpoints, tokenizer)
    kept.check(bool(probe and settings.probe_every))
    if settings.batch_size < method.group_size:
        raise UserError(
            f"batch_size {settings.batch_size} holds no group of {method.group_size} rollouts: raise it."
        )
    device = process_device()
    if not ranks.sharded:  # else each rank moves its part
        model.to(device)
    model.eval()
    dtype = resolve_dtype(settings.dtype, model)
    torch.manual_seed(settings.seed)
    layout = lockstep_layout(checked_layout(model, world.layout), ranks)
    world = replace(world, layout=layout)
    if settings.gradient_checkpointing:
        enable_recomputing(model)
    critic = _critic(method, model, world, ranks)
    if critic is not None and settings.gradient_checkpointing:
        prepare_layers(critic.body)
    adapters = settings.lora is not None
    if settings.lora is None:  # scored alike: by the kernels of weights that train
        frozen, policy = (Spread(each, ranks, device, dtype) for each in (copy.deepcopy(model), model))
    else:
        policy = frozen = Spread(with_adapters(model, settings.lora), ranks, device, dtype)

    layers = recomputed_layers(frozen.module)

    def reference(inputs: ModelInputs) -> Tensor:
        with without_adapters(frozen.module, adapters), recomputing(layers):
            return shared_token_logps(frozen.module, inputs, method.temperature)

    beside = None if critic is None else Spread(critic, ranks, device, dtype)
    trainer = OnlineTrainer(method, policy, reference, world, settings, dtype, beside, backend)
    reset_peak_memory(device)
    reason = _run(trainer, out_dir, probe, progress, kept)
    log = ranks.from_first(read_training_log(out_dir / "train_log.jsonl"))
    result = FitResult(
        status="completed" if reason is None else "diverged",
        reason=reason,
        steps=log[-1]["step"],
        seconds=log[-1]["seconds"],
        tokens=trainer.source.counts["tokens"],
        peak_memory_bytes=max(ranks.every(peak_memory_bytes(device))),
        dtype=dtype,
        plan_hash="",
        reward_mean=0.0,
        reward_sd=1.0,
        rollouts=trainer.source.counts["rollouts"],
        seen=trainer.source.seen,
    )
    return finish(result, policy, tokenizer, out_dir)


def _critic(method: OnlineMethod, model: Any, world: World, ranks: Ranks) -> Critic | None:
    """The method's critic, checked with the layout of the world; None for methods without."""
    critic = _new_critic(method, model, world)
    if critic is None:
        return None
    critic = checked_critic(critic, world.layout)
    if ranks.sharded and critic.equal_lengths:
        raise UserError(f"{method.name}: the critic reads its padding: give --parallel replicated.")
    return critic


def _new_critic(method: OnlineMethod, model: Any, world: World) -> Critic | None:
    if not method.uses_critic:
        return None
    if method.critic_init == "reference":
        return Critic(model)
    if world.reward_start is None:
        raise UserError(
            f"{method.name} with critic_init=reward needs a reward model of the policy's own architecture "
            "and tokens as its only reward; this reward isn't one: omit critic_init."
        )
    return Critic.of_reward_model(world.reward_start).to(next(model.parameters()).device)


def _run(
    trainer: OnlineTrainer,
    out_dir: Path,
    probe: Probe | None,
    progress: Progress | None,
    kept: KeptCheckpoints,
) -> str | None:
    """Iterates to the end, from the last saved state when there is one; returns why it diverged, if so."""
    settings, file, ranks = trainer.settings, out_dir / "partial" / "state.pt", trainer.ranks
    done, lines = 0, out_dir / "train_log.jsonl"
    if ranks.from_first(file.is_file()):
        saved = torch.load(file, weights_only=True)
        if saved["state"].keys() == trainer.state().keys():  # else it is of another version: start over
            done = saved["iteration"]
            trainer.load(saved["state"])
    log = TrainingLog(lines, done if done else -1, settings.tracked) if ranks.first else None
    if ranks.first:
        kept.resume(done)
    earlier = ranks.from_first(read_training_log(lines))
    started = time.monotonic() - (earlier[-1]["seconds"] if earlier else 0.0)

    def probed(step: int) -> dict[str, float]:
        if probe is None:
            return {}
        with trainer.spread_policy.whole() as policy:
            return probed_by(probe, policy, step, kept) if ranks.first else {}

    try:
        if not earlier:
            first = probed(0)
            if log is not None:
                log.write({"step": 0, "seconds": 0.0, "tokens": 0, "rollouts": 0, **first})
        for iteration in range(done, settings.steps):
            with telling_of_memory(ADVICE):
                record = trainer.iterate(iteration)
            step = iteration + 1
            record["seconds"] = round(time.monotonic() - started, 3)
            if step == settings.steps or (settings.probe_every and step % settings.probe_every == 0):
                record |= probed(step)
            if log is not None:
                log.write({"step": step, **record})
            if progress is not None:
                progress(step, record)
            if settings.save_every and step % settings.save_every == 0:
                _save_state(trainer, step, file)
    except DivergedError as error:
        return str(error)
    finally:
        if log is not None:
            log.close()
    return None


def _save_state(trainer: OnlineTrainer, iteration: int, file: Path) -> None:
    """Writes the first rank's state, to which the others give their parts."""
    state = trainer.state()
    if not trainer.ranks.first:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(file) as temporary:
        torch.save({"iteration": iteration, "state": state}, temporary)
