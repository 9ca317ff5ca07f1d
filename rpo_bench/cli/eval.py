"""``rpo-bench eval``: measures finished checkpoints; nothing is trained."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from rpo_bench.cli.measuring_flags import EvaluationFlags, GenerationFlags, HarnessFlags, JudgingFlags
from rpo_bench.cli.options import flag, with_flags
from rpo_bench.cli.run_flags import LongFlags, ModelFlags, RunnerFlags, TrustFlags
from rpo_bench.cli.spec_flags import spec_changes


@dataclass(frozen=True)
class MeasureFlags:
    """The checkpoints, and what to measure them against."""

    checkpoints: Annotated[
        list[Path],
        typer.Argument(help="Checkpoint folders, as written by save_pretrained.", metavar="CHECKPOINT…"),
    ]
    task: Annotated[
        str | None,
        flag(
            "--task",
            "A task by name or folder; by default the task of the run in --output-path, or civil_qa.",
            "Task",
            aliases=("--tasks",),
        ),
    ] = None
    reference: Annotated[
        str | None,
        flag(
            "--reference",
            "The base model to measure KL against: one of the task's by name, or a folder. By default the "
            "model that the checkpoint was trained from, or the task's model with the same tokenizer.",
            "Task",
        ),
    ] = None
    data_files: Annotated[
        str | None,
        flag(
            "--data-files",
            "Read splits of the task's dataset from these files: train=FILE,test=FILE.",
            "Task",
            metavar="SPLIT=FILE,…",
        ),
    ] = None
    include_path: Annotated[
        Path | None, flag("--include-path", "A folder with more tasks.", "Task", metavar="DIR")
    ] = None


@with_flags
def eval_(
    measure: MeasureFlags,
    evaluation: EvaluationFlags,
    generation: GenerationFlags,
    judge: JudgingFlags,
    harness: HarnessFlags,
    models: ModelFlags,
    long: LongFlags,
    runner: RunnerFlags,
    trust: TrustFlags,
) -> None:
    """Measure finished checkpoints as train-and-eval measures its own; nothing is trained.

    In the output folder of an earlier run they are measured with its settings and added to its page.
    """
    started_at = time.monotonic()
    from rpo_bench.cli.ending import callbacks_of, finish, run_context_of
    from rpo_bench.engine.plan.evaluation import Finished
    from rpo_bench.engine.run import default_evaluation_output, evaluation_spec, run_evaluation
    from rpo_bench.tasks.source import name_files

    if measure.data_files is not None:
        name_files(measure.data_files)
    root = runner.output_path or default_evaluation_output(measure.task)
    run_context = replace(
        run_context_of(root, runner, trust, judge, started_at),
        harness=harness.request(),
        include_path=measure.include_path,
    )
    changes = spec_changes(measure, evaluation, models, generation, long)
    spec = evaluation_spec(changes, run_context.output, measure.include_path)
    finished = Finished(tuple(measure.checkpoints), measure.reference)
    done = run_evaluation(spec, finished, run_context, callbacks_of(runner.quiet))
    raise typer.Exit(finish(done))
