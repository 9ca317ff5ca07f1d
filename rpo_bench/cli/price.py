"""``train-and-eval --dry-run`` of a paper's preset: GPU hours, and deviations from the paper."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rpo_bench.cli.console import out, print_table
from rpo_bench.spec.presets import PAPER
from rpo_bench.spec.schema import RunSpec


def print_price(
    spec: RunSpec, layers: Sequence[Mapping[str, Any]], gpu: str, mfu: float, include_path: Path | None
) -> bool:
    """Prices a spec whose preset or config follows a paper; returns False without output for any other."""
    if not any(PAPER in layer for layer in layers):
        return False
    from rpo_bench.engine.plan.paper import paper_of, priced
    from rpo_bench.engine.plan.pricing import Gpu

    paper = paper_of(layers)
    assert paper is not None
    on = Gpu(gpu, mfu)
    lines = priced(spec, paper, on, include_path)
    rows = [(one.model, one.method, one.cells, _hours(one.hours_each), _hours(one.hours)) for one in lines]
    title = f"{spec.task}: {paper.citation}"
    print_table(title, ("model", "method", "cells", "GPU hours each", "GPU hours"), rows)
    console = out()
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


def _hours(hours: float) -> str:
    return f"{hours:,.1f}" if hours >= 10 else f"{hours:.2g}"
