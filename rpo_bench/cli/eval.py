"""``rpo-bench eval``: finished checkpoints, by name; nothing is trained."""

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
    """What is measured, and against what."""

    checkpoints: Annotated[
        list[Path],
        typer.Argument(help="Checkpoint folders, as save_pretrained writes them.", metavar="CHECKPOINT…"),
    ]
    task: Annotated[
        str | None,
        flag(
            "--task",
            "A task by name or folder; by default that of the earlier run in --output-path, else civil_qa.",
            "Task",
            aliases=("--tasks",),
        ),
    ] = None
    reference: Annotated[
        str | None,
        flag(
            "--reference",
            "The base model that KL is measured against: one of the task's by name, or a folder. By default "
            "the one that the checkpoint was trained from, or the task's with the same tokenizer.",
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
        Path | None, flag("--include-path", "A folder of further tasks.", "Task", metavar="DIR")
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
    """Measures finished checkpoints as train-and-eval measures its own; nothing is trained.

    Into the output folder of an earlier run they are measured as it was, and join its page.
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
        harness=harness.asked(),
        include_path=measure.include_path,
    )
    changes = spec_changes(measure, evaluation, models, generation, long)
    spec = evaluation_spec(changes, run_context.output, measure.include_path)
    finished = Finished(tuple(measure.checkpoints), measure.reference)
    done = run_evaluation(spec, finished, run_context, callbacks_of(runner.quiet))
    raise typer.Exit(finish(done))
