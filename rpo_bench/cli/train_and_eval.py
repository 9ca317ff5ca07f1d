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
from rpo_bench.errors import UserError
from rpo_bench.spec.parsing import parse_nats

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
    methods: Annotated[
        str | None, flag("--methods", 'Methods, e.g. "sft,rpo(partition=leave_one_out)".', "What to run")
    ] = None
    strengths: Annotated[
        str | None,
        flag(
            "--strengths", 'Strengths, e.g. "rpo=0.3,1;kto=0.1", or one list for all methods.', "What to run"
        ),
    ] = None
    kl_budgets: Annotated[
        str | None,
        flag("--kl-budgets", 'KLs in nats, e.g. "0.3,0.5": adds strengths near them.', "What to run"),
    ] = None
    placed: Annotated[
        int | None,
        flag("--placed", "Most strengths to add per method; 6 by default.", "What to run", min=1),
    ] = None
    seeds: Annotated[
        str | None,
        flag("--seeds", 'Training seeds, e.g. "0,1,2" or "0-4".', "What to run", aliases=("--seed",)),
    ] = None
    models: Annotated[
        str | None,
        flag(
            "--models",
            "Base models: the task's own by name, folders, or names on the hub.",
            "What to run",
            aliases=("--model",),
        ),
    ] = None
    sweep: Annotated[
        str | None,
        flag("--sweep", 'Learning rates for every cell, e.g. "lr=1e-4,2e-4".', "What to run"),
    ] = None
    budgets: Annotated[
        str | None,
        flag("--budgets", 'Multiples of the steps for every cell, e.g. "1,3,10".', "What to run"),
    ] = None
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
    mfu: Annotated[float, flag("--mfu", "Assumed utilisation of its peak in training.", "What to run")] = 0.35


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
    from rpo_bench.cli.spec_building import TEXTS, build_spec, layers_of
    from rpo_bench.engine.run import default_output, run_matrix

    texts = {name: getattr(matrix, name) for name in TEXTS}
    layers = layers_of(matrix.preset, matrix.config)
    further = models.changes() | generation.changes() | _tuned(matrix.tuned) | _placing(matrix)
    spec = build_spec(layers, texts, data, training, evaluation, further, knobs)
    if matrix.dry_run and print_price(spec, layers, matrix.gpu, matrix.mfu, data.include_path):
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


def _tuned(file: Path | None) -> dict[str, Any]:
    """The field of RunSpec that --tuned sets."""
    if file is None:
        return {}
    from rpo_bench.tuning.schema import tuned_field

    return {"tuned": tuned_field(file)}


def _placing(matrix: MatrixFlags) -> dict[str, Any]:
    """The fields of RunSpec that --kl-budgets and --placed set."""
    if matrix.kl_budgets is None:
        if matrix.placed is not None:
            raise UserError("--placed needs --kl-budgets, such as --kl-budgets 0.3,0.5.")
        return {}
    placed = {} if matrix.placed is None else {"placed": matrix.placed}
    return {"kl_budgets": parse_nats(matrix.kl_budgets), **placed}


def _dry_run(spec: "RunSpec", run_context: "RunContext") -> None:
    from rpo_bench.cli.dry_run import print_plan
    from rpo_bench.cli.ending import callbacks_of
    from rpo_bench.engine.run import plan_only

    with tempfile.TemporaryDirectory(prefix="rpo-bench-") as scratch:
        plan = plan_only(spec, run_context, callbacks_of(run_context.runner.quiet), Path(scratch))
        print_plan(plan, run_context.output, Path(scratch), run_context.runner)
