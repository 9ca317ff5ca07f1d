"""``rpo-bench train-and-eval``: methods × strengths × seeds × models, trained, measured and published."""

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rpo_bench.cli.knobs import KnobFlags
from rpo_bench.cli.measuring_flags import EvaluationFlags, GenerationFlags, HarnessFlags, JudgingFlags
from rpo_bench.cli.options import flag, with_flags
from rpo_bench.cli.run_flags import DataFlags, ModelFlags, RunnerFlags, TrainingFlags, TrustFlags
from rpo_bench.cli.spec_flags import build_spec, spec_changes, spec_flag
from rpo_bench.errors import UserError

if TYPE_CHECKING:
    from rpo_bench.engine.run import RunContext
    from rpo_bench.spec.schema import RunSpec


@dataclass(frozen=True)
class MatrixFlags:
    """The cells to run."""

    preset: Annotated[
        str | None,
        flag(
            "--preset",
            "smoke, quick (default), standard or a paper's preset.",
            "What to run",
        ),
    ] = None
    config: Annotated[
        Path | None,
        flag(
            "--config",
            "A spec file that overrides the preset; flags override both.",
            "What to run",
            metavar="FILE",
        ),
    ] = None
    methods: Annotated[str | None, spec_flag("--methods")] = None
    strengths: Annotated[str | None, spec_flag("--strengths")] = None
    kl_budgets: Annotated[str | None, spec_flag("--kl-budgets")] = None
    placed: Annotated[int | None, spec_flag("--placed")] = None
    seeds: Annotated[str | None, spec_flag("--seeds")] = None
    models: Annotated[str | None, spec_flag("--models")] = None
    sweep: Annotated[str | None, spec_flag("--sweep")] = None
    budgets: Annotated[str | None, spec_flag("--budgets")] = None
    tuned: Annotated[
        Path | None,
        flag(
            "--tuned",
            "File from rpo-bench tune, with a learning rate for each method.",
            "What to run",
            metavar="FILE",
        ),
    ] = None
    dry_run: Annotated[
        bool,
        flag(
            "--dry-run",
            "Print the plan and an estimate of time and disk, or of GPU hours for a paper; write nothing.",
            "What to run",
        ),
    ] = False
    gpu: Annotated[
        str, flag("--gpu", "GPU for the estimate of a paper's preset: a100, h100, h200 …", "What to run")
    ] = "a100"
    mfu: Annotated[float, flag("--mfu", "Assumed share of its peak in training.", "What to run")] = 0.2

    def further(self) -> dict[str, Any]:
        """The learning rates that --tuned names."""
        if self.placed is not None and self.kl_budgets is None:
            raise UserError("--placed needs --kl-budgets: say near which KL, such as --kl-budgets 0.3,0.5.")
        if self.tuned is None:
            return {}
        from rpo_bench.tuning.schema import tuned_field

        return {"tuned": tuned_field(self.tuned)}


@with_flags
def train_and_eval(
    matrix: MatrixFlags,
    data: DataFlags,
    training: TrainingFlags,
    evaluation: EvaluationFlags,
    generation: GenerationFlags,
    judge: JudgingFlags,
    harness: HarnessFlags,
    models: ModelFlags,
    runner: RunnerFlags,
    trust: TrustFlags,
    knobs: KnobFlags,
) -> None:
    """Train methods × strengths × seeds, measure every checkpoint, and build the board.

    Run again, the command does only what is missing. After an interruption the same command continues.
    """
    started_at = time.monotonic()
    from rpo_bench.cli.ending import callbacks_of, finish, run_context_of
    from rpo_bench.cli.price import print_price
    from rpo_bench.engine.run import default_output, run_matrix
    from rpo_bench.spec.presets import layers_of

    layers = layers_of(matrix.preset, matrix.config)
    changes = spec_changes(matrix, data, training, evaluation, models, generation)
    spec = build_spec(layers, changes, knobs)
    if matrix.dry_run:
        from rpo_bench.engine.plan.pricing import Gpu
        from rpo_bench.engine.plan.resources import Resources, parallel_of

        resources = Resources(gpus=runner.gpus_per_cell, parallel=parallel_of(runner.parallel))
        if print_price(spec, layers, Gpu(matrix.gpu, matrix.mfu), data.include_path, resources):
            return
    root = runner.output_path or default_output(spec, matrix.preset, matrix.config)
    run_context = replace(
        run_context_of(root, runner, trust, judge, started_at),
        harness=harness.request(),
        include_path=data.include_path,
    )
    if matrix.dry_run:
        _dry_run(spec, run_context)
        return
    done = run_matrix(spec, run_context, callbacks_of(runner.quiet))
    raise typer.Exit(finish(done))


def _dry_run(spec: "RunSpec", run_context: "RunContext") -> None:
    from rpo_bench.cli.dry_run import print_plan
    from rpo_bench.cli.ending import callbacks_of
    from rpo_bench.engine.run import plan_only

    with tempfile.TemporaryDirectory(prefix="rpo-bench-") as scratch:
        plan = plan_only(spec, run_context, callbacks_of(run_context.runner.quiet), Path(scratch))
        print_plan(plan, run_context.output, Path(scratch), run_context.runner)
