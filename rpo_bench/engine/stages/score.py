"""The score stage: scores, metrics, training stability, and the cell's record."""

import json
import time
from pathlib import Path
from typing import Any

import yaml

from rpo_bench.engine.inputs.rewards import proxy_of
from rpo_bench.engine.pool.worker import Progress
from rpo_bench.engine.stages.model_card import write_card
from rpo_bench.engine.stages.parts import (
    dataset_of,
    decoding_of,
    diverged,
    reward_identity,
    reward_of,
    task_of,
)
from rpo_bench.engine.stages.train import PROBE_REWARD, Report
from rpo_bench.engine.work import CellWork
from rpo_bench.files.atomic import atomic_folder
from rpo_bench.files.hashing import hash_file, hash_json
from rpo_bench.files.json_lines import read_json_lines, read_objects, write_json_lines
from rpo_bench.metrics.suite import measure
from rpo_bench.results.environment import environment
from rpo_bench.results.places import recorded_path
from rpo_bench.results.samples import StoredSample
from rpo_bench.results.schema import Cost, MetricValue, Record, Seen
from rpo_bench.results.store import (
    SAMPLES_FILE,
    SCORES_FILE,
    SPEC_FILE,
    TRAIN_LOG_FILE,
    cell_folder,
    write_record,
)
from rpo_bench.stats.training_stability import stability
from trainers.device import process_device
from trainers.settings import FitResult


def score(work: CellWork, report: Report) -> float:
    """Scores the stored samples and writes the cell's result folder; returns the seconds of scoring."""
    report(Progress("score"))
    target = cell_folder(work.output.results, work.spec)
    with atomic_folder(target) as folder:
        started_at = time.monotonic()
        failed = diverged(work)
        metrics = {} if failed else _score_samples(work, folder)
        log = _training_log(work, folder)
        measured = stability(log, diverged=failed) if log else {}
        seconds = time.monotonic() - started_at
        record = _record(work, folder, metrics, measured, seconds)
        write_record(folder, record)
        (folder / SPEC_FILE).write_text(yaml.safe_dump(record.spec.model_dump(mode="json"), sort_keys=False))
    if work.trained:
        write_card(work.policy, work.spec, work.command, record, dataset_of(work))
    return seconds


def _score_samples(work: CellWork, folder: Path) -> dict[str, MetricValue]:
    """Writes the samples and their scores to ``folder``; returns the metrics."""
    samples = read_json_lines(work.output.samples(work.spec) / SAMPLES_FILE, StoredSample)
    evaluation = work.spec.evaluation
    task = task_of(work)
    prompts = task.heldout[: evaluation.limit]
    measured = measure(
        prompts,
        samples,
        reward=reward_of(work, task),
        proxy=proxy_of(work.spec, task, work.trust),
        toxicity=evaluation.toxicity,
        allow_pickle=work.trust.allow_pickle,
        decoding=decoding_of(work),
        identity=work.spec.hash,
    )
    write_json_lines(folder / SAMPLES_FILE, samples)
    write_json_lines(folder / SCORES_FILE, measured.scores)
    return dict(measured.metrics)


def _train_folder(work: CellWork) -> Path | None:
    """The folder in which the policy was trained; None if it was trained elsewhere."""
    folder = work.output.training(work.spec) if work.trained else work.policy.parent
    return folder if (folder / "fit.json").is_file() and (folder / "spec.yaml").is_file() else None


def _training_log(work: CellWork, folder: Path) -> list[dict[str, Any]]:
    """Copies the training log into the result folder, without probes of a different reward."""
    trained = _train_folder(work)
    if trained is None:
        return []
    log = read_objects(trained / "train_log.jsonl")
    kept = trained / PROBE_REWARD
    if not kept.is_file() or kept.read_text() != str(reward_identity(work, task_of(work))):
        log = [{key: value for key, value in row.items() if key != "probe_reward"} for row in log]
    write_json_lines(folder / TRAIN_LOG_FILE, log)
    return log


def _record(
    work: CellWork,
    folder: Path,
    metrics: dict[str, MetricValue],
    measured: dict[str, float | None],
    seconds: float,
) -> Record:
    trained = _train_folder(work)
    fitted = None if trained is None else FitResult.load(trained / "fit.json")
    kept = work.output.samples(work.spec) / "generate.json"
    generated = json.loads(kept.read_text()) if kept.is_file() else {"seconds": 0.0}
    extra = {name: generated[name] for name in ("generation",) if name in generated}
    if fitted is not None:
        extra |= {"plan_hash": fitted.plan_hash, "steps": fitted.steps}
    if work.tuned is not None:
        extra["tuned"] = dict(work.tuned)
    path = recorded_path(work.spec.model_path, work.spec.model)
    return Record(
        spec=work.spec.model_copy(update={"model_path": path}),
        cell=work.spec.hash,
        architecture=work.architecture,
        strength_name=work.strength_name,
        status="completed" if fitted is None else fitted.status,
        reason=None if fitted is None else fitted.reason,
        metrics=metrics,
        stability=measured,
        cost=Cost(
            train_seconds=0.0 if fitted is None else fitted.seconds,
            train_tokens=0 if fitted is None else fitted.tokens,
            rollouts=0 if fitted is None else fitted.rollouts,
            peak_memory_bytes=0 if fitted is None else fitted.peak_memory_bytes,
            generate_seconds=generated["seconds"],
            score_seconds=seconds,
        ),
        seen=None if fitted is None or fitted.seen is None else Seen(**vars(fitted.seen)),
        environment=environment(
            process_device().type,
            "float32" if fitted is None else fitted.dtype,
            work.threads,
            work.processes.count if work.trained else 1,
        ),
        hashes=_hashes(work, folder),
        command=work.command,
        extra=extra,
    )


def _hashes(work: CellWork, folder: Path) -> dict[str, str]:
    """Content hashes of the prompts, the files in the result folder, and the weights."""
    prompts = task_of(work).heldout[: work.spec.evaluation.limit]
    names = {"samples": SAMPLES_FILE, "scores": SCORES_FILE, "train_log": TRAIN_LOG_FILE}
    found = {name: hash_file(folder / file) for name, file in names.items() if (folder / file).is_file()}
    found["prompts"] = hash_json([prompt.model_dump(mode="json") for prompt in prompts])
    if work.policy.is_dir():
        weights = sorted([*work.policy.glob("*.safetensors"), *work.policy.glob("pytorch_model*.bin")])
        found["weights"] = hash_json([[file.name, hash_file(file)] for file in weights])
    return found
