"""``rpo-bench eval``: finished checkpoints, by name; nothing is trained."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from rpo_bench.cli.console import err
from rpo_bench.cli.options import flag, with_flags
from rpo_bench.cli.run_flags import EvaluationFlags, JudgingFlags, RunnerFlags, TrustFlags


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
def eval_(
    measure: MeasureFlags,
    evaluation: EvaluationFlags,
    judge: JudgingFlags,
    runner: RunnerFlags,
    trust: TrustFlags,
) -> None:
    """Measures finished checkpoints as train-and-eval measures its own; nothing is trained.

    Into the output folder of an earlier run they are measured as it was, and join its page.
    """
    begun = time.monotonic()
    from rpo_bench.cli.ending import finish, judged, planning
    from rpo_bench.engine.base_models import Trust
    from rpo_bench.engine.finished import Finished, plan_evaluation
    from rpo_bench.engine.output import Output, begin, check_same_run, only_run, read_run_spec
    from rpo_bench.engine.plan import Surroundings
    from rpo_bench.engine.presets import run_spec
    from rpo_bench.engine.run import Runner, run_plan, start_workers_early

    root = runner.output_path or Path("runs") / f"eval-{Path(measure.task).name}"
    output = Output(root, runner.work_path or root / "work")
    below = read_run_spec(output.spec).evaluation.model_dump() if output.spec.exists() else {}
    changes = evaluation.changes(below.get("decoding", {}))
    settings = {"task": measure.task, "methods": [{"name": "reference"}], "evaluation": {**below, **changes}}
    spec = run_spec(settings, "The settings can't be used")
    context = start_workers_early()
    with only_run(output):
        around = Surroundings(output.work, measure.include_path, Trust(**vars(trust)))
        with planning(runner.quiet):
            plan = plan_evaluation(spec, Finished(tuple(measure.checkpoints), measure.reference), around)
        judging = judge.judging()
        judging.wanted(plan.task)
        check_same_run(output, spec, plan.identity, trains=False)
        begin(output, spec, plan.identity)
        for warning in plan.warnings:
            err().print(f"Note: {warning}", markup=False, soft_wrap=True)
        how = Runner(runner.workers, runner.threads, runner.quiet, begun)
        report = run_plan(plan, output, how, context, err())
        well = judged(plan, output, judging, how, context)
        raise typer.Exit(finish(output, report) or int(not well))
