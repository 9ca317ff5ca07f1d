"""``rpo-bench train-and-eval``: methods × strengths × seeds × models, trained, measured and published."""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rpo_bench.cli.console import err
from rpo_bench.cli.options import flag, with_flags
from rpo_bench.cli.run_flags import (
    DataFlags,
    EvaluationFlags,
    JudgingFlags,
    RunnerFlags,
    TrainingFlags,
    TrustFlags,
)

if TYPE_CHECKING:
    from rpo_bench.engine.plan import Plan
    from rpo_bench.spec import RunSpec


@dataclass(frozen=True)
class MatrixFlags:
    """Which cells."""

    preset: Annotated[
        str | None, flag("--preset", "smoke, quick (the default) or standard.", "What to run")
    ] = None
    config: Annotated[
        Path | None,
        flag("--config", "A spec file over the preset; flags go over both.", "What to run", metavar="FILE"),
    ] = None
    methods: Annotated[
        str | None, flag("--methods", 'E.g. "sft,rpo(partition=leave_one_out)".', "What to run")
    ] = None
    strengths: Annotated[
        str | None,
        flag("--strengths", '"rpo=0.3,1;kto=0.1", or a plain list for all methods.', "What to run"),
    ] = None
    seeds: Annotated[str | None, flag("--seeds", '"0,1,2" or "0-4".', "What to run", aliases=("--seed",))] = (
        None
    )
    models: Annotated[
        str | None, flag("--models", "Base models: the task's own by name, or folders.", "What to run")
    ] = None
    sweep: Annotated[
        str | None,
        flag("--sweep", '"lr=1e-4,2e-4": every cell at each of these learning rates.', "What to run"),
    ] = None
    dry_run: Annotated[
        bool,
        flag("--dry-run", "Show the plan with an estimate of time and disk; write nothing.", "What to run"),
    ] = False


@with_flags
def train_and_eval(
    matrix: MatrixFlags,
    data: DataFlags,
    training: TrainingFlags,
    evaluation: EvaluationFlags,
    judge: JudgingFlags,
    runner: RunnerFlags,
    trust: TrustFlags,
) -> None:
    """Trains methods × strengths × seeds, measures every checkpoint, and publishes the board.

    Run again, it does what is missing and nothing else; stopped at any moment, the same command goes on.
    """
    begun = time.monotonic()
    from rpo_bench.cli.spec_building import build_spec, layers_of

    texts = {name: getattr(matrix, name) for name in ("methods", "strengths", "seeds", "models", "sweep")}
    spec = build_spec(layers_of(matrix.preset, matrix.config), texts, data, training, evaluation)
    root = runner.output_path or default_output(spec, matrix)
    if matrix.dry_run:
        _dry_run(spec, root, data, runner, trust)
        return
    raise typer.Exit(_run(spec, root, data, Ways(judge, runner, trust), begun))


def default_output(spec: "RunSpec", matrix: MatrixFlags) -> Path:
    """``runs/<task>-<preset>``, or the config file's name for the preset's."""
    name = matrix.preset or ("quick" if matrix.config is None else matrix.config.stem)
    task = Path(spec.task.removeprefix("data:")).name
    return Path("runs") / f"{task}-{name}"


@dataclass(frozen=True)
class Ways:
    """What changes no result of training and measuring."""

    judge: JudgingFlags
    runner: RunnerFlags
    trust: TrustFlags


def _run(spec: "RunSpec", root: Path, data: DataFlags, ways: Ways, begun: float) -> int:
    from rpo_bench.cli.ending import finish, judged, planning
    from rpo_bench.engine.base_models import Trust
    from rpo_bench.engine.output import Output, begin, check_same_run, only_run
    from rpo_bench.engine.plan import Surroundings, plan_run
    from rpo_bench.engine.run import Runner, run_plan, start_workers_early

    runner, trust = ways.runner, ways.trust
    output = Output(root, runner.work_path or root / "work")
    context = start_workers_early()
    allowed = Trust(trust.trust_remote_code, trust.allow_pickle)
    with only_run(output):
        with planning(runner.quiet):
            plan = plan_run(spec, Surroundings(output.work, data.include_path, allowed))
        judging = ways.judge.judging()
        judging.wanted(plan.task)
        check_same_run(output, spec, plan.identity)
        begin(output, spec, plan.identity)
        _warn(plan)
        how = Runner(runner.workers, runner.threads, runner.quiet, begun)
        report = run_plan(plan, output, how, context, err())
        well = judged(plan, output, judging, how, context)
        return finish(output, report) or int(not well)


def _dry_run(spec: "RunSpec", root: Path, data: DataFlags, runner: RunnerFlags, trust: TrustFlags) -> None:
    from rpo_bench.cli.dry_run import print_plan
    from rpo_bench.cli.ending import planning
    from rpo_bench.engine.base_models import Trust
    from rpo_bench.engine.output import Output, check_same_run
    from rpo_bench.engine.plan import Surroundings, plan_run

    output = Output(root, runner.work_path or root / "work")
    allowed = Trust(trust.trust_remote_code, trust.allow_pickle)
    with tempfile.TemporaryDirectory(prefix="rpo-bench-") as scratch:
        with planning(runner.quiet):
            plan = plan_run(spec, Surroundings(Path(scratch), data.include_path, allowed))
        check_same_run(output, spec, plan.identity)
        _warn(plan)
        print_plan(plan, output, Path(scratch), runner)


def _warn(plan: "Plan") -> None:
    for warning in plan.warnings:
        err().print(f"Note: {warning}", markup=False, soft_wrap=True)
