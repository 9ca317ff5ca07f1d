"""``train-and-eval --dry-run``: the plan as a table, with an estimate of time and disk."""

from collections.abc import Iterable
from pathlib import Path

from rpo_bench.cli.console import out, print_table
from rpo_bench.engine.estimate import Pace, estimate
from rpo_bench.engine.execute import Runner
from rpo_bench.engine.output import Output
from rpo_bench.engine.plan.cells import PlannedCell
from rpo_bench.engine.plan.graph import has_result
from rpo_bench.engine.plan.plan import Plan
from rpo_bench.engine.pool.progress import clock
from rpo_bench.wording import counted


def print_plan(plan: Plan, output: Output, scratch: Path, runner: Runner) -> None:
    """Prints the cells, which of them are done, and an estimate for the rest."""
    workers = runner.most
    expected = estimate(plan, output, scratch, workers)
    groups: dict[tuple[str, str, int], list[PlannedCell]] = {}
    for cell in plan.cells:
        groups.setdefault((cell.spec.model, cell.spec.method.label, _steps(cell)), []).append(cell)
    rows = []
    for key, cells in groups.items():
        pace = expected.paces.get((*key[:2], cells[0].spec.training.steps))
        rows.append(
            [
                *key[:2],
                key[2] or "—",
                _strengths(cells),
                ",".join(str(seed) for seed in sorted({cell.spec.seed for cell in cells})),
                len(cells),
                sum(has_result(output, cell.spec) for cell in cells),
                "" if pace is None else clock(pace.train_seconds + pace.measure_seconds),
            ]
        )
    title = f"{plan.task.spec.name}: {len(plan.cells)} cells into {output.root}"
    print_table(
        title, ["model", "method", "steps", "strengths", "seeds", "cells", "done", "each about"], rows
    )
    console = out()
    if not expected.cells:
        console.print("All cells are done; without --dry-run the same command only rebuilds the page.")
        return
    console.print(
        f"Estimate: {clock(expected.seconds)} on {counted(workers, 'worker')} and "
        f"{expected.bytes / 1e6:,.0f} MB of disk for {counted(expected.cells, 'cell')} still to do, from "
        f"{_basis(expected.paces.values())}.",
        soft_wrap=True,
    )


def _basis(paces: Iterable[Pace]) -> str:
    return " and ".join(
        {"now": "a few steps and samples measured now", "earlier": "cells finished earlier"}[kind]
        for kind in sorted({pace.measured for pace in paces})
    )


def _steps(cell: PlannedCell) -> int:
    """Training steps of a cell; 0 if it isn't trained."""
    return cell.spec.training.steps if cell.trained else 0


def _strengths(cells: list[PlannedCell]) -> str:
    values = dict.fromkeys(cell.spec.strength for cell in cells if cell.spec.strength is not None)
    return f"{cells[0].strength_name} = {', '.join(f'{value:g}' for value in values)}" if values else "—"
