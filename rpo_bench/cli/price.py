"""``train-and-eval --dry-run`` of a paper's preset: GPU hours, and deviations from the paper."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rpo_bench.cli.console import out, print_table
from rpo_bench.spec.presets import PAPER
from rpo_bench.spec.schema import RunSpec

if TYPE_CHECKING:
    from rpo_bench.engine.plan.paper import Paper, PricedCells
    from rpo_bench.engine.plan.pricing import Gpu
    from rpo_bench.engine.plan.resources import Resources


def print_price(
    spec: RunSpec,
    layers: Sequence[Mapping[str, Any]],
    on: "Gpu",
    include_path: Path | None,
    resources: "Resources",
) -> bool:
    """Prices a spec whose preset or config follows a paper; returns False without output for any other.

    Args:
        spec: the run.
        layers: of its preset and config.
        on: the GPU, and how well it is used.
        include_path: a folder of further tasks.
        resources: of a cell.
    """
    if not any(PAPER in layer for layer in layers):
        return False
    from rpo_bench.engine.plan.paper import paper_of, priced

    paper = paper_of(layers)
    assert paper is not None
    lines = priced(spec, paper, on, include_path, resources)
    rows = [
        (one.model, one.method, one.cells, _hours(one.hours_each), _hours(one.hours), _gigabytes(one.memory))
        for one in lines
    ]
    title = f"{spec.task}: {paper.citation}"
    print_table(
        title,
        (
            "model",
            "method",
            "cells",
            "GPU hours each",
            "GPU hours",
            "GB" if resources.gpus == 1 else "GB per GPU",
        ),
        rows,
    )
    console = out()
    if (gpus := resources.gpus) > 1:
        console.print(
            f"{gpus} GPUs train a cell together: its GPU hours, divided by {gpus}, are its time at best.",
            soft_wrap=True,
        )
    for text in _too_large(spec, paper, lines, on.name, include_path, resources):
        console.print(text, soft_wrap=True)
    console.print(
        f"Estimate: {_hours(sum(one.hours for one in lines))} GPU hours on one {on.name} at "
        f"{on.mfu:.0%} of its peak in training and {on.decode_mfu:.0%} in sampling, from "
        "parameters and tokens alone; nothing was loaded or fetched. "
        "Scoring by toxicity classifiers, reward models and judges is not included.",
        soft_wrap=True,
    )
    for head, texts in (("The paper", paper.settings), ("Deviations", paper.deviations)):
        console.print(f"{head}:", style="bold")
        for text in texts:
            console.print(f"- {text}", soft_wrap=True)
    return True


def _too_large(
    spec: RunSpec,
    paper: "Paper",
    lines: Sequence["PricedCells"],
    gpu: str,
    include_path: Path | None,
    resources: "Resources",
) -> Iterator[str]:
    """Which methods don't fit the GPU, and settings with which they do."""
    from rpo_bench.engine.plan.memory import GPU_MEMORY, USABLE
    from rpo_bench.engine.plan.paper import fitting_settings
    from rpo_bench.tasks.task import load_task

    room = USABLE * GPU_MEMORY[gpu]
    folder = load_task(spec.task, include_path).model_folder
    found: dict[tuple[str, str], list[str]] = {}
    for line in lines:
        if line.memory is not None and line.memory > room:
            own = folder(line.model)
            advice = fitting_settings(spec, paper, line, room, own, resources)
            found.setdefault((line.model, advice), []).append(line.method)
    for (model, advice), methods in found.items():
        yield (
            f"Too large for one {gpu}, of which {room / 1e9:,.0f} GB can be used: {', '.join(methods)} on "
            f"{model}. {advice}"
        )


def _gigabytes(memory: float | None) -> str:
    return "–" if memory is None else f"{memory / 1e9:,.1f}"


def _hours(hours: float) -> str:
    return f"{hours:,.1f}" if hours >= 10 else f"{hours:.2g}"
