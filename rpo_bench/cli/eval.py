"""``rpo-bench eval``: finished checkpoints, by name; nothing is trained."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from rpo_bench.cli.console import err
from rpo_bench.cli.options import flag, with_flags
from rpo_bench.cli.run_flags import EvaluationFlags, RunnerFlags, TrustFlags


@dataclass(frozen=True)
class MeasureFlags:
    """What is measured, and against what."""

    checkpoints: Annotated[
        list[Path],
        typer.Argument(help="Checkpoint folders, as save_pretrained writes them.", metavar="CHECKPOINT…"),
    ]
    task: Annotated[str, flag("--task", "A task by name or folder.", "Task", aliases=("--tasks",))] = (
        "civil_qa"
    )
    reference: Annotated[
        str | None,
        flag(
            "--reference",
            "The base model that KL is measured against: one of the task's by name, or a folder. By default "
            "the one that the checkpoint was trained from, or the task's with the same tokenizer.",
            "Task",
        ),
    ] = None
    include_path: Annotated[
        Path | None, flag("--include-path", "A folder of further tasks.", "Task", metavar="DIR")
    ] = None


@with_flags
def eval_(measure: MeasureFlags, evaluation: EvaluationFlags, runner: RunnerFlags, trust: TrustFlags) -> None:
    """Measures finished checkpoints as train-and-eval measures its own; nothing is trained."""
    begun = time.monotonic()
    from rpo_bench.cli.ending import finish
    from rpo_bench.engine.base_models import Trust
    from rpo_bench.engine.finished import Finished, plan_evaluation
    from rpo_bench.engine.output import Output, begin, check_same_run, only_run
    from rpo_bench.engine.plan import Surroundings
    from rpo_bench.engine.presets import run_spec
    from rpo_bench.engine.run import Runner, run_plan, start_workers_early

    spec = run_spec(
        {
            "task": measure.task,
            "methods": [{"name": "reference"}],
            "evaluation": evaluation.changes({}),
        },
        "The settings can't be used",
    )
    root = runner.output_path or Path("runs") / f"eval-{Path(measure.task).name}"
    output = Output(root, runner.work_path or root / "work")
    context = start_workers_early()
    with only_run(output):
        around = Surroundings(output.work, measure.include_path, Trust(**vars(trust)))
        plan = plan_evaluation(spec, Finished(tuple(measure.checkpoints), measure.reference), around)
        check_same_run(output, spec, plan.identity)
        begin(output, spec, plan.identity)
        for warning in plan.warnings:
            err().print(f"Note: {warning}", markup=False, soft_wrap=True)
        settings = Runner(runner.workers, runner.threads, runner.quiet, begun)
        report = run_plan(plan, output, settings, context, err())
        raise typer.Exit(finish(output, report))
