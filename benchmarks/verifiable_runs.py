"""The runs of benchmarks/verifiable.py: what is kept of them, and the tables made of them."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Setup:
    """What all runs share.

    Attributes:
        model: One of the tasks' reference policies.
        iterations: Of each run.
        rollouts: To learn from in an iteration.
        every: Iterations between two points of the curve.
    """

    model: str = "decoder"
    iterations: int = 200
    rollouts: int = 256
    every: int = 10
    learning_rate: float = 1e-3
    kl_coef: float = 0.01


@dataclass(frozen=True)
class Point:
    """A point of a run's curve; shares of groups are means since the point before (0 at the first).

    Attributes:
        rollouts: Sampled so far, those that filtering threw away included.
        seconds: Of the processor, without the probes.
        accuracy: On held-out prompts.
        zero_variance: Share of freshly sampled groups without reward variance.
        without_gradient: Share of the rollouts learnt from that have no advantage.
        replayed: Share of them that were replayed.
    """

    iteration: int
    rollouts: int
    seconds: float
    accuracy: float
    zero_variance: float
    without_gradient: float
    replayed: float


@dataclass(frozen=True)
class Run:
    """One training run."""

    task: str
    method: str
    seed: int
    setup: Setup
    status: str
    curve: tuple[Point, ...]
    accuracy: float
    pass_at_8: float
    kl: float

    @property
    def key(self) -> tuple[str, str, int, Setup]:
        """What makes it this run."""
        return self.task, self.method, self.seed, self.setup


def points(log: Sequence[dict[str, Any]]) -> list[Point]:
    """The curve in a training log."""
    found, since = [], []
    for entry in log:
        since.append(entry)
        if "probe_reward" not in entry:
            continue
        means = {
            name: float(np.mean([e[name] for e in since if e.get(name) is not None] or [0.0]))
            for name in ("zero_variance", "without_gradient", "replayed")
        }
        found.append(
            Point(entry["step"], entry["rollouts"], entry["cpu_seconds"], entry["probe_reward"], **means)
        )
        since = []
    return found


def arrival(run: Run, threshold: float, of: Callable[[Point], float]) -> float | None:
    """What it took until the accuracy was at the threshold; None if it never was."""
    return next((of(point) for point in run.curve if point.accuracy >= threshold), None)


def accuracy_at(run: Run, rollouts: float) -> float:
    """The accuracy when so many rollouts were spent, by straight lines between the points."""
    spent, accuracy = zip(*((point.rollouts, point.accuracy) for point in run.curve), strict=True)
    return float(np.interp(rollouts, spent, accuracy))


def table(task: str, runs: Sequence[Run], thresholds: Sequence[float]) -> list[str]:
    """One line per method: means over seeds, with the lowest and the highest.

    "at N" is the accuracy when N rollouts were spent: the whole of the thriftiest run, a half, a quarter …
    """
    budgets = [min(run.curve[-1].rollouts for run in runs) // part for part in (8, 4, 2, 1)]
    heads = ["accuracy", "pass@8", "KL", "rollouts", *(f"at {budget:,}" for budget in budgets)]
    for threshold in thresholds:
        heads += [f"rollouts to {threshold:g}", f"CPU s to {threshold:g}"]
    heads += [
        "groups without variance: first tenth",
        "last tenth",
        "without gradient: last tenth",
        "replayed",
    ]
    lines = [f"| {task} | seeds | " + " | ".join(heads) + " |", "|---" * (len(heads) + 2) + "|"]
    for method in dict.fromkeys(run.method for run in runs):
        mine = [run for run in runs if run.method == method]
        cells = [_spread([r.accuracy for r in mine]), _spread([r.pass_at_8 for r in mine])]
        cells += [_spread([r.kl for r in mine], 2), _spread([r.curve[-1].rollouts for r in mine], 0)]
        cells += [_spread([accuracy_at(r, budget) for r in mine]) for budget in budgets]
        for threshold in thresholds:
            cells.append(_arrivals([arrival(r, threshold, lambda p: p.rollouts) for r in mine]))
            cells.append(_arrivals([arrival(r, threshold, lambda p: p.seconds) for r in mine]))
        tenth = max(1, (len(mine[0].curve) - 1) // 10)
        early = [p for r in mine for p in r.curve[1 : 1 + tenth]]
        late = [p for r in mine for p in r.curve[-tenth:]]
        cells += [
            f"{np.mean([p.zero_variance for p in early]):.2f}",
            f"{np.mean([p.zero_variance for p in late]):.2f}",
            f"{np.mean([p.without_gradient for p in late]):.2f}",
            f"{np.mean([p.replayed for r in mine for p in r.curve[1:]]):.2f}",
        ]
        lines.append(f"| {method} | {len(mine)} | " + " | ".join(cells) + " |")
    return lines


def _spread(values: Sequence[float], digits: int = 3) -> str:
    mean = f"{np.mean(values):,.{digits}f}"
    return mean if len(values) == 1 else f"{mean} [{min(values):,.{digits}f}, {max(values):,.{digits}f}]"


def _arrivals(values: Sequence[float | None]) -> str:
    """The mean of those that arrived, and how many did."""
    found = [value for value in values if value is not None]
    if not found:
        return "never"
    return _spread(found, 0) + ("" if len(found) == len(values) else f" ({len(found)} of {len(values)})")


def in_a_line(run: Run) -> str:
    """How it ended."""
    last = run.curve[-1]
    return (
        f"{run.task} {run.method} seed {run.seed}: accuracy {run.accuracy:.3f} after {last.rollouts:,} "
        f"rollouts, {last.seconds:.0f} s of the processor ({run.status})"
    )


def load(out: Path | None) -> list[Run]:
    """The runs that ``save`` wrote; none where there is no file."""
    if out is None or not out.is_file():
        return []
    found = []
    for record in json.loads(out.read_text()):
        curve = tuple(Point(**point) for point in record.pop("curve"))
        found.append(Run(setup=Setup(**record.pop("setup")), curve=curve, **record))
    return found


def save(out: Path | None, runs: Sequence[Run]) -> None:
    """Writes the runs, whole or not at all."""
    if out is not None:
        temporary = out.with_name(f".{out.name}.tmp")
        temporary.write_text(json.dumps([asdict(run) for run in runs], separators=(",", ":")) + "\n")
        temporary.replace(out)
