"""The stages of a cell: train, generate, score. Each leaves its artefact whole or not at all."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from rpo_bench.engine.inputs.examples import labelled
from rpo_bench.engine.inputs.rewards import training_reward
from rpo_bench.engine.pool.worker import Progress
from rpo_bench.engine.stages.model_card import CARD, write_card
from rpo_bench.engine.stages.parts import (
    base_of,
    dataset_of,
    decoding_of,
    diverged,
    examples_file_of,
    examples_of,
    load_model,
    reference_cache_of,
    reward_identity,
    task_of,
)
from rpo_bench.engine.stages.probe import LOGPS_BATCH, make_probe
from rpo_bench.engine.stages.rollouts import load_prompts, make_world
from rpo_bench.engine.stages.sampling import PolicySamples, other_backend, sample_by
from rpo_bench.engine.work import CellWork
from rpo_bench.errors import UserError
from rpo_bench.files.atomic import atomic_folder, explained
from rpo_bench.files.json_lines import write_json_lines
from rpo_bench.methods.registry import resolve_method
from rpo_bench.models.beginnings import check_beginnings
from rpo_bench.models.hf import HFModel
from rpo_bench.results.samples import stored_sample
from rpo_bench.spec.schema import TrainingSpec
from trainers.fitting import fit
from trainers.fitting_online import fit_online
from trainers.layouts import checked_layout
from trainers.logps import TokenLayout
from trainers.objective import Method, OfflineMethod
from trainers.online import OnlineMethod
from trainers.precision import resolve_dtype
from trainers.prepare import prepare
from trainers.reference import reference_logps
from trainers.settings import FitResult, Lora, TrainingSettings

Report = Callable[[Progress], None]

PROBE_REWARD = "probe_reward.txt"  # which reward the training log's probes speak of


def training_settings(training: TrainingSpec, seed: int, name: str | None = None) -> TrainingSettings:
    """What ``trainers.fit`` is told."""
    values = training.model_dump(exclude={"lora", "reward"})
    lora = None if training.lora is None else Lora(**training.lora.model_dump())
    return TrainingSettings(**values, lora=lora, seed=seed, run_name=name)


def train(work: CellWork, report: Report) -> float:
    """Trains the cell's checkpoint where the output folder keeps it; returns the seconds it took."""
    begun = time.monotonic()
    result = train_into(work.output.training(work.spec), work, report)
    return min(result.seconds, time.monotonic() - begun)


def train_into(folder: Path, work: CellWork, report: Report) -> FitResult:
    """Trains a cell's checkpoint into ``folder``, beside its spec and training log; goes on where it was."""
    result = _fit_into(folder, work, report)
    if not (folder / "checkpoint" / CARD).is_file():
        write_card(folder / "checkpoint", work.spec, work.command, dataset=dataset_of(work))
    return result


def run_config(work: CellWork) -> dict[str, Any]:
    """What trackers are told of a cell."""
    spec = work.spec
    training = {k: v for k, v in spec.training.model_dump(mode="json").items() if v is not None}
    names = {"task": spec.task, "model": spec.model, "cell": spec.hash, work.strength_name: spec.strength}
    return {"method": spec.method.label, "strength": spec.strength, "seed": spec.seed, **names, **training}


def _fit_into(folder: Path, work: CellWork, report: Report) -> FitResult:
    """The training itself: offline or online, as the method is."""
    method = resolve_method(work.spec.method, work.spec.strength)
    settings = training_settings(work.spec.training, work.spec.seed, work.spec.name)
    settings = replace(settings, run_config=run_config(work))
    report(Progress("train", 0, settings.steps))
    base = load_model(work, Path(work.spec.model_path), training=True)
    task = task_of(work)
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "spec.yaml").write_text(yaml.safe_dump(work.spec.model_dump(mode="json"), sort_keys=False))
        (folder / PROBE_REWARD).write_text(str(reward_identity(work, task)))

    def progress(step: int, row: dict[str, Any]) -> None:
        report(Progress("train", step, settings.steps, row.get("loss")))

    probe = make_probe(work, task, base.tokenizer) if settings.probe_every else None
    if isinstance(method, OnlineMethod):
        reward = training_reward(work.spec, task, work.trust)
        if reward is None:
            raise UserError(f"{method.name} needs a reward for its own answers; the task has none.")
        limit = decoding_of(work).max_new_tokens or task.spec.max_new_tokens
        world = make_world(base, load_prompts(examples_file_of(work)), reward, limit)
        return fit_online(
            method,
            base.model,
            world,
            settings,
            folder,
            tokenizer=base.tokenizer,
            probe=probe,
            progress=progress,
        )
    return fit(
        offline(method),
        base.model,
        labelled(examples_of(work), method),
        settings,
        folder,
        cache=reference_cache_of(work),
        tokenizer=base.tokenizer,
        probe=probe,
        progress=progress,
    )


def offline(method: Method) -> OfflineMethod:
    """The method as one that learns from rows; raises UserError when it is of no kind that is known."""
    if not isinstance(method, OfflineMethod):
        raise UserError(f"The method '{method.name}' is neither an OfflineMethod nor an OnlineMethod.")
    return method


def reference_pass(work: CellWork, report: Report) -> float:
    """Computes the reference's log-probs of all rows, which every cell on the same model and rows shares."""
    report(Progress("reference"))
    begun = time.monotonic()
    base = load_model(work, Path(work.spec.model_path), training=True)
    layout = checked_layout(
        base.model, TokenLayout.of(base.model, base.tokenizer.pad_token_id, base.tokenizer)
    )
    dtype = resolve_dtype(work.spec.training.dtype, base.model)
    check_beginnings(base.model, examples_of(work), layout, str(work.spec.model_path))
    reference_logps(reference_cache_of(work), base.model, examples_of(work), layout, dtype)
    return time.monotonic() - begun


def _layout(base: HFModel) -> TokenLayout:
    return checked_layout(base.model, TokenLayout.of(base.model, base.tokenizer.pad_token_id, base.tokenizer))


def partner_pass(work: CellWork, report: Report) -> float:
    """Computes the reference's log-probs of a seed's mismatched pairs, shared by all strengths."""
    report(Progress("reference"))
    begun = time.monotonic()
    base = load_model(work, Path(work.spec.model_path), training=True)
    method = resolve_method(work.spec.method, work.spec.strength)
    layout = checked_layout(
        base.model, TokenLayout.of(base.model, base.tokenizer.pad_token_id, base.tokenizer)
    )
    settings = training_settings(work.spec.training, work.spec.seed)
    dtype = resolve_dtype(settings.dtype, base.model)
    rows = labelled(examples_of(work), method)
    prepare(offline(method), base.model, rows, settings, reference_cache_of(work), layout, dtype)
    return time.monotonic() - begun


def generate(work: CellWork, report: Report) -> float:
    """Samples the policy on the held-out prompts, with log-probs under it and the reference."""
    folder = work.output.samples(work.spec)
    if (folder / "samples.jsonl.gz").is_file() or diverged(work):
        return 0.0
    evaluation = work.spec.evaluation
    prompts, decoding = task_of(work).heldout[: evaluation.limit], decoding_of(work)
    backend = other_backend(work)
    begun = time.monotonic()
    if backend is not None:  # before the policy is loaded, as it wants the GPU's memory
        report(Progress("generate"))
        sampled = sample_by(backend, work, prompts, decoding)
    report(Progress("load"))
    policy = load_model(work, work.policy)
    if backend is None:
        begun = time.monotonic()
        report(Progress("generate"))
        sampled = PolicySamples(
            policy.generate(prompts, evaluation.n_samples, decoding, evaluation.seed, evaluation.batch_size)
        )
    texts = [generation.prompt for generation in sampled.generations]
    tokens = [generation.token_ids for generation in sampled.generations]
    report(Progress("log-probs"))
    policy_logps = policy.token_logps(texts, tokens, LOGPS_BATCH)
    about = sampled.described(policy_logps, work)
    reference = _reference_logps(work, policy, policy_logps, texts, tokens) if sampled.exact else policy_logps
    seconds = time.monotonic() - begun
    with atomic_folder(folder) as temporary:
        logps = zip(policy_logps, reference, strict=True) if sampled.exact else repeat((None, None))
        lines = (stored_sample(one, *both) for one, both in zip(sampled.generations, logps, strict=False))
        write_json_lines(temporary / "samples.jsonl.gz", lines)
        written = {"seconds": seconds} | ({} if about is None else {"generation": about})
        (temporary / "generate.json").write_text(json.dumps(written))
    return seconds


def _reference_logps(
    work: CellWork,
    policy: HFModel,
    policy_logps: list[NDArray[np.float32]],
    texts: Sequence[str],
    tokens: Sequence[Sequence[int]],
) -> list[NDArray[np.float32]]:
    if work.policy == Path(work.spec.model_path):
        return policy_logps
    if policy.adapter_of is not None and Path(policy.adapter_of) == Path(work.spec.model_path):
        return policy.without_adapter().token_logps(texts, tokens, LOGPS_BATCH)
    return base_of(work).token_logps(texts, tokens, LOGPS_BATCH)
