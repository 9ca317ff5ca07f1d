"""The train stage and the reference's log-probs. Each writes its artefact atomically."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypedDict

import yaml

from rpo_bench.engine.inputs.examples import labelled
from rpo_bench.engine.inputs.prompts import load_prompts
from rpo_bench.engine.inputs.rewards import training_reward
from rpo_bench.engine.pool.worker import Progress
from rpo_bench.engine.stages.model_card import CARD, write_card
from rpo_bench.engine.stages.parts import (
    dataset_of,
    decoding_of,
    examples_file_of,
    examples_of,
    load_model,
    reference_cache_of,
    reward_identity,
    task_of,
)
from rpo_bench.engine.stages.probe import make_probe
from rpo_bench.engine.stages.processes import device_of, in_processes
from rpo_bench.engine.stages.rollouts import make_world, rollout_backend
from rpo_bench.engine.work import CellWork
from rpo_bench.errors import UserError
from rpo_bench.files.atomic import explained
from rpo_bench.methods.registry import resolve_method
from rpo_bench.models.beginnings import check_beginnings
from rpo_bench.models.hf import HFModel
from rpo_bench.spec.sections import TrainingSpec
from rpo_bench.tasks.task import Task
from trainers.device import process_device
from trainers.drawing import World
from trainers.fitting import fit
from trainers.fitting_online import fit_online
from trainers.fitting_rounds import fit_rounds
from trainers.inputs import TokenLayout
from trainers.layouts import checked_layout
from trainers.objective import Method, OfflineMethod
from trainers.offline import Probe
from trainers.online import OnlineMethod
from trainers.precision import DType, resolve_dtype
from trainers.prepare import prepare
from trainers.ranks import Ranks
from trainers.reference import reference_logps
from trainers.settings import FitResult, Lora, TrainingSettings
from trainers.sharding import Spread, lockstep_layout

Report = Callable[[Progress], None]

PROBE_REWARD = "probe_reward.txt"  # identity of the reward in the training log's probes


def training_settings(training: TrainingSpec, seed: int, name: str | None = None) -> TrainingSettings:
    """The settings for ``trainers.fit``."""
    values = training.model_dump(exclude={"lora", "reward", "rollouts"})
    lora = None if training.lora is None else Lora(**training.lora.model_dump())
    return TrainingSettings(**values, lora=lora, seed=seed, run_name=name)


def train(work: CellWork, report: Report) -> float:
    """Trains the cell's checkpoint in the output folder; returns the seconds it took."""
    started_at = time.monotonic()
    result = train_into(work.output.training(work.spec), work, report)
    return min(result.seconds, time.monotonic() - started_at)


def train_into(folder: Path, work: CellWork, report: Report) -> FitResult:
    """Trains a checkpoint into ``folder`` with its spec and training log; resumes if it was stopped."""
    result: FitResult = in_processes(fit_into, work, (folder,), report)
    for checkpoint in (folder / "checkpoint", *folder.glob("checkpoints/step-*")):
        if not (checkpoint / CARD).is_file():
            write_card(checkpoint, work.spec, work.command, dataset=dataset_of(work))
    return result


def run_config(work: CellWork) -> dict[str, Any]:
    """The cell's settings for experiment trackers."""
    spec = work.spec
    training = {k: v for k, v in spec.training.model_dump(mode="json").items() if v is not None}
    names = {"task": spec.task, "model": spec.model, "cell": spec.hash, work.strength_name: spec.strength}
    return {"method": spec.method.label, "strength": spec.strength, "seed": spec.seed, **names, **training}


def fit_into(ranks: Ranks, work: CellWork, folder: Path, report: Report) -> FitResult:
    """Runs offline or online training, depending on the method; all processes of a cell call it."""
    method = method_of(work)
    settings = training_settings(work.spec.training, work.spec.seed, work.spec.name)
    settings = replace(settings, run_config=run_config(work))
    report(Progress("train", 0, settings.steps))
    base = load_model(work, Path(work.spec.model_path), training=True, device=device_of(ranks))
    task = task_of(work)
    if ranks.first:
        with explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
            spec = yaml.safe_dump(work.spec.model_dump(mode="json"), sort_keys=False)
            (folder / "spec.yaml").write_text(spec)
            (folder / PROBE_REWARD).write_text(str(reward_identity(work, task)))

    def progress(step: int, row: dict[str, Any]) -> None:
        report(Progress("train", step, settings.steps, row.get("loss")))

    common = Common(
        tokenizer=base.tokenizer,
        probe=make_probe(work, task, base.tokenizer) if settings.probe_every else None,
        progress=progress,
        ranks=ranks,
    )
    if method.samples_policy:
        world = _world(work, method, base, task)
        with rollout_backend(work, world, settings.dtype, base) as backend:
            if isinstance(method, OnlineMethod):
                return fit_online(method, base.model, world, settings, folder, backend=backend, **common)
            return fit_rounds(
                offline(method),
                base.model,
                world,
                settings,
                folder,
                logged=examples_of(work) if offline(method).reads_logged else None,
                labelled=partial(labelled, method=method),
                backend=backend,
                **common,
            )
    found = offline(method)
    rows, cache = labelled(examples_of(work), found), reference_cache_of(work)
    return fit(found, base.model, rows, settings, folder, cache=cache, **common)


class Common(TypedDict):
    """What ``fit``, ``fit_rounds`` and ``fit_online`` take alike."""

    tokenizer: Any
    probe: Probe | None
    progress: Callable[[int, dict[str, float]], None]
    ranks: Ranks


def _world(work: CellWork, method: Method, base: HFModel, task: Task) -> World:
    """The prompts and the reward of a method that samples the policy."""
    reward = training_reward(work.spec, task, work.trust)
    if reward is None:
        raise UserError(f"{method.name} needs a reward for its samples; the task has none.")
    limit = decoding_of(work).max_new_tokens or task.spec.max_new_tokens
    prompts = load_prompts(examples_file_of(work))
    return make_world(base, prompts, reward, limit, work.spec.data.max_length)


def method_of(work: CellWork) -> Method:
    """The cell's method at its strength; resolved here, as plug-in classes can't be pickled."""
    return resolve_method(work.spec.method, work.spec.strength)


def offline(method: Method) -> OfflineMethod:
    """The method as an offline method; raises UserError for an unknown kind."""
    if not isinstance(method, OfflineMethod):
        raise UserError(f"The method '{method.name}' is neither an OfflineMethod nor an OnlineMethod.")
    return method


def reference_pass(work: CellWork, report: Report) -> float:
    """Computes the reference's log-probs of all rows, shared by all cells on the same model and rows."""
    report(Progress("reference"))
    started_at = time.monotonic()
    in_processes(score_rows, work, (), report)
    return time.monotonic() - started_at


def score_rows(ranks: Ranks, work: CellWork, report: Report) -> None:
    """The reference pass in each of a cell's processes."""
    base, layout, dtype = _reference(ranks, work)
    check_beginnings(base.module, examples_of(work), layout, str(work.spec.model_path))
    cache = replace(reference_cache_of(work), ranks=ranks, rows=work.spec.training.micro_batch_size)
    reference_logps(cache, base.module, examples_of(work), layout, dtype)


def partner_pass(work: CellWork, report: Report) -> float:
    """Computes the reference's log-probs of a seed's mismatched pairs, shared by all strengths."""
    report(Progress("reference"))
    started_at = time.monotonic()
    in_processes(score_pairs, work, (), report)
    return time.monotonic() - started_at


def score_pairs(ranks: Ranks, work: CellWork, report: Report) -> None:
    """The pass over mismatched pairs in each of a cell's processes."""
    base, layout, dtype = _reference(ranks, work)
    method = method_of(work)
    settings = training_settings(work.spec.training, work.spec.seed)
    rows = labelled(examples_of(work), method)
    cache = replace(reference_cache_of(work), ranks=ranks, rows=work.spec.training.micro_batch_size)
    prepare(offline(method), base.module, rows, settings, cache, layout, dtype)


def _reference(ranks: Ranks, work: CellWork) -> tuple[Spread, TokenLayout, DType]:
    """The base model, sharded where the cell's is, the layout of its inputs, and the number format."""
    base = load_model(work, Path(work.spec.model_path), training=True, device=device_of(ranks))
    own = TokenLayout.of(base.model, base.tokenizer.pad_token_id, base.tokenizer)
    layout = lockstep_layout(checked_layout(base.model, own), ranks)
    dtype = resolve_dtype(work.spec.training.dtype, base.model)
    return Spread(base.model, ranks, process_device(), dtype), layout, dtype
