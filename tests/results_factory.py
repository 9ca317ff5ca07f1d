"""Result folders of a made-up world with a known frontier, written by the real store."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rpo_bench.files.json_lines import write_json_lines
from rpo_bench.results.environment import environment
from rpo_bench.results.samples import ScoreLine
from rpo_bench.results.schema import Cost, MetricValue, Record
from rpo_bench.results.store import SCORES_FILE, TRAIN_LOG_FILE, cell_folder, write_record
from rpo_bench.spec.schema import CellSpec
from rpo_bench.spec.sections import DataSpec, EvaluationSpec, MethodSpec, TrainingSpec
from rpo_bench.stats.interval import Interval

PROMPTS = 24
SAMPLES = 2
UNITS = {"reward": "", "kl": "nats", "toxicity": "share", "length": "tokens"}


@dataclass(frozen=True)
class Shape:
    """How a made-up method behaves: at strength s its KL is ``reach / (1 + 4s)`` nats, and its reward
    ``gain · sqrt(KL)`` above the reference policy's.
    """

    reach: float
    gain: float


SHAPES = {
    "sft": Shape(0.5, 0.25),
    "kto": Shape(0.8, 0.45),
    "dro": Shape(2.2, 0.55),
    "rpo": Shape(2.4, 0.80),
    "rpo-released": Shape(1.6, 0.35),
}
STRENGTHS = (0.1, 0.3, 1.0)


def cell_spec(method: str = "rpo", strength: float | None = 0.3, seed: int = 0, **changes: Any) -> CellSpec:
    """A spec of the made-up world."""
    values: dict[str, Any] = {
        "task": "civil_qa",
        "task_hash": "a" * 64,
        "data": DataSpec(),
        "data_hash": "b" * 64,
        "model": "decoder",
        "model_path": "models/decoder",
        "model_hash": "c" * 64,
        "method": MethodSpec(name=method),
        "strength": strength,
        "seed": seed,
        "training": TrainingSpec(),
        "evaluation": EvaluationSpec(n_samples=SAMPLES),
    }
    return CellSpec(**{**values, **changes})


def metric(values: Sequence[float], unit: str = "", better: bool | None = None) -> MetricValue:
    """A metric with the plain normal interval of a mean."""
    point, spread = float(np.mean(values)), float(np.std(values)) / math.sqrt(len(values))
    interval = Interval(
        point=point,
        low=point - 1.96 * spread,
        high=point + 1.96 * spread,
        method="bootstrap",
        levels=("prompts",),
        n=len(values),
        resamples=1000,
    )
    return MetricValue(
        interval=interval, unit=unit, higher_is_better=better, backend="made up 1", scored=len(values)
    )


def scores_of(spec: CellSpec, prompts: int = PROMPTS) -> dict[str, np.ndarray]:
    """Scores (P, N) of a cell: the method's shape, an effect of the prompt and one of the seed, and noise."""
    easy = np.random.default_rng(7).normal(0, 0.3, prompts)[:, None]
    rng = np.random.default_rng([spec.seed, *spec.method.label.encode(), int(1000 * (spec.strength or 0))])
    noise = rng.normal(0, 0.2, (prompts, SAMPLES))
    if spec.strength is None:
        kl, reward = np.zeros((prompts, SAMPLES)), -0.2 + easy + noise
        toxicity = np.clip(0.3 + 0.3 * noise, 0, 1)
    else:
        shape = SHAPES.get(spec.method.name, Shape(1.0, 0.5))
        nats = shape.reach / (1 + 4 * spec.strength) * (1 + 0.05 * rng.normal())
        gain = shape.gain * math.sqrt(nats) + 0.03 * rng.normal()
        kl = np.clip(nats + 0.3 * nats * rng.normal(size=(prompts, SAMPLES)), 0.001, None)
        reward = -0.2 + gain + easy + noise
        toxicity = np.clip(0.3 - 0.2 * gain + 0.2 * noise, 0, 1)
    length = 9 + 2 * noise - kl
    return {"reward": reward, "kl": kl, "toxicity": toxicity, "length": length}


def record_of(spec: CellSpec, status: str = "completed", **changes: Any) -> Record:
    """The record of a cell of the made-up world."""
    better = {"reward": True, "toxicity": False}
    metrics: dict[str, MetricValue] = {}
    if status == "completed":
        scores = scores_of(spec)
        metrics = {name: metric(v.mean(1), UNITS[name], better.get(name)) for name, v in scores.items()}
        metrics["distinct_2"] = metric(
            [0.62 - 0.1 * float(scores["kl"].mean()) + 0.001 * spec.seed] * 2, "share", True
        )
    values: dict[str, Any] = {
        "spec": spec,
        "cell": spec.hash,
        "architecture": "decoder",
        "strength_name": "β" if spec.method.name == "kto" else "τ",
        "status": status,
        "reason": None if status == "completed" else "the loss is not finite at step 12",
        "metrics": metrics,
        "stability": {"loss_iqr": 0.1 + 0.01 * spec.seed, "probe_drawdown": None},
        "cost": Cost(train_seconds=10.0 + spec.seed, train_tokens=100_000),
        "environment": environment("cpu", "float32", 1),
        "hashes": {"scores": "d" * 64},
        "command": "rpo-bench train-and-eval --preset quick",
    }
    return Record(**{**values, **changes})


def write_cell(results: Path, spec: CellSpec, status: str = "completed", **changes: Any) -> Path:
    """Writes a whole result folder and returns it."""
    record = record_of(spec, status, **changes)
    folder = cell_folder(results, spec)
    if status == "completed":
        scores = scores_of(spec)
        lines = [
            ScoreLine(prompt_id=f"p{p:03}", sample=n, scores={m: float(v[p, n]) for m, v in scores.items()})
            for p in range(PROMPTS)
            for n in range(SAMPLES)
        ]
        write_json_lines(folder / SCORES_FILE, lines)
    if spec.strength is not None:
        write_json_lines(folder / TRAIN_LOG_FILE, train_log(spec, 12 if status == "diverged" else 60))
    write_record(folder, record)
    return folder


def train_log(spec: CellSpec, steps: int) -> list[dict[str, Any]]:
    """A training log whose loss falls, and whose probe reward rises to the cell's reward."""
    rng = np.random.default_rng([spec.seed, 3])
    goal = float(scores_of(spec)["reward"].mean())
    entries: list[dict[str, Any]] = []
    for step in range(1, steps + 1):
        entry = {
            "step": step,
            "loss": 2 * math.exp(-step / 20) + 0.1 * rng.normal(),
            "grad_norm": 1.0,
            "kl": 0.1,
        }
        if step % 10 == 0 or step == 1:
            entry["probe_reward"] = goal * (1 - math.exp(-step / 20)) + 0.02 * rng.normal()
        entries.append(entry)
    return entries


def write_world(
    results: Path,
    methods: Sequence[str] = tuple(SHAPES),
    seeds: int = 3,
    strengths: Sequence[float] = STRENGTHS,
    **changes: Any,
) -> Path:
    """Writes the reference policy and every method × strength × seed; returns ``results``."""
    write_cell(results, cell_spec("reference", None, **changes))
    for method in methods:
        for strength in strengths:
            for seed in range(seeds):
                write_cell(results, cell_spec(method, strength, seed, **changes))
    return results
