"""Estimates the time and disk space that a plan needs, from a short real measurement."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

from rpo_bench.engine.output import Output
from rpo_bench.engine.plan.cells import PlannedCell
from rpo_bench.engine.plan.graph import cell_work, outstanding
from rpo_bench.engine.plan.plan import Plan
from rpo_bench.results.store import read_results
from rpo_bench.spec.schema import CellSpec
from rpo_bench.spec.sections import TrainingSpec

_STEPS = 4  # timed steps, after one warm-up step
_PROMPTS = 8
_START_SECONDS = 8.0  # to start Python, torch and the workers


@dataclass(frozen=True)
class Pace:
    """Seconds that one cell of a model and method takes.

    Attributes:
        train_seconds: training, all steps.
        measure_seconds: generating and scoring.
        measured: "now", or "earlier" where finished cells in the output folder give the pace.
    """

    train_seconds: float
    measure_seconds: float
    measured: str


@dataclass(frozen=True)
class Estimate:
    """Time and disk space for the unfinished part of a plan.

    Attributes:
        paces: (model, method label, steps) → pace.
        cells: number of cells without a result.
        seconds: wall-clock time until all are finished.
        bytes: size of the files they will write.
    """

    paces: dict[tuple[str, str, int], Pace]
    cells: int
    seconds: float
    bytes: int


def estimate(plan: Plan, output: Output, scratch: Path, workers: int) -> Estimate:
    """Estimates the unfinished part of ``plan``.

    Args:
        plan: the plan.
        output: the output folder; finished cells in it give their pace.
        scratch: a temporary folder for the measurement; the caller deletes it.
        workers: number of worker processes.
    """
    done = {cell.spec.hash for cell in outstanding(plan, output).done}
    left = [cell for cell in plan.cells if cell.spec.hash not in done]
    known = _known(output)
    paces: dict[tuple[str, str, int], Pace] = {}
    for cell in left:
        if _key(cell.spec) not in paces:
            earlier = known.get(_key(cell.spec))
            paces[_key(cell.spec)] = earlier or _measure(plan, cell, scratch)
    total = sum(paces[_key(c.spec)].train_seconds + paces[_key(c.spec)].measure_seconds for c in left)
    longest = max((p.train_seconds + p.measure_seconds for p in paces.values()), default=0.0)
    seconds = max(total / max(1, workers), longest) + _START_SECONDS if left else 0.0
    return Estimate(paces, len(left), seconds, sum(_bytes(plan, cell) for cell in left))


def _key(spec: CellSpec) -> tuple[str, str, int]:
    return spec.model, spec.method.label, spec.training.steps


def _known(output: Output) -> dict[tuple[str, str, int], Pace]:
    """The pace of finished cells, by (model, method, steps)."""
    if not output.results.is_dir():
        return {}
    found = {}
    for stored in read_results(output.results).records:
        record = stored.record
        if record.status == "completed":
            cost = record.cost
            measure = cost.generate_seconds + cost.score_seconds
            found[_key(record.spec)] = Pace(cost.train_seconds, measure, "earlier")
    return found


def _measure(plan: Plan, cell: PlannedCell, scratch: Path) -> Pace:
    """Runs a few real training steps and generates and scores a few samples."""
    import torch

    from rpo_bench.engine.stages.generate import generate
    from rpo_bench.engine.stages.score import score
    from rpo_bench.engine.stages.train import train
    from trainers.training_log import read_training_log

    torch.set_num_threads(plan.context.resources.threads)
    training = cell.spec.training.model_copy(
        update={
            "steps": _STEPS + 1,
            "probe_every": 0,
            "save_every": 0,
            "keep_checkpoints": "last",
            "warmup_steps": 0,
            "report_to": (),
        }
    )
    evaluation = cell.spec.evaluation.model_copy(
        update={"limit": min(_PROMPTS, cell.spec.evaluation.limit or _PROMPTS)}
    )
    spec = cell.spec.model_copy(update={"training": training, "evaluation": evaluation})
    probe = replace(cell, spec=spec)
    work = cell_work(plan, probe, Output(scratch / "out", scratch))
    seconds = 0.0
    if cell.trained:
        train(work, _ignore)
        log = read_training_log(work.output.training(spec) / "train_log.jsonl")
        steps = [row["seconds"] for row in log if row["step"] >= 1]
        seconds = (steps[-1] - steps[0]) / max(1, len(steps) - 1) * cell.spec.training.steps
    started_at = time.monotonic()
    generate(work, _ignore)
    score(work, _ignore)
    prompts = len(plan.task.heldout[: cell.spec.evaluation.limit])
    scale = prompts / min(_PROMPTS, prompts)
    return Pace(seconds, (time.monotonic() - started_at) * scale, "now")


def _ignore(progress: object) -> None:
    """Discards progress reports."""


def _bytes(plan: Plan, cell: PlannedCell) -> int:
    """The size of the checkpoints and two copies of the samples: work and results."""
    prompts = len(plan.task.heldout[: cell.spec.evaluation.limit])
    tokens = cell.spec.evaluation.decoding.max_new_tokens or plan.task.spec.max_new_tokens
    samples = prompts * cell.spec.evaluation.n_samples * tokens * 12
    return (cell.model.bytes * _checkpoints(cell.spec.training) if cell.trained else 0) + 2 * samples


def _checkpoints(training: TrainingSpec) -> int:
    """How many checkpoints a training leaves."""
    if training.keep_checkpoints == "all":
        return 2 + training.steps // training.probe_every
    return 1 if training.keep_checkpoints == "last" else 2
