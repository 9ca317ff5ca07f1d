"""Runs a spec: plans it, checks it against the output folder, and executes it in workers."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from rpo_bench.engine.execute import Runner, RunReport, check_gpus, start_workers_early
from rpo_bench.engine.inputs.dataset import earlier_task
from rpo_bench.engine.inputs.examples import collected_warnings
from rpo_bench.engine.inputs.sampling_checks import check_within_reach
from rpo_bench.engine.judge_run import Judging, judge_run
from rpo_bench.engine.lm_eval_run import check_harness, harness_run
from rpo_bench.engine.output import Output, begin, check_same_run, only_run, read_run_spec
from rpo_bench.engine.plan.cells import PlannedCell
from rpo_bench.engine.plan.evaluation import Finished, plan_evaluation
from rpo_bench.engine.plan.graph import has_result
from rpo_bench.engine.plan.plan import Plan, PlanContext, plan_run
from rpo_bench.engine.plan.tuned_records import mark_tuned
from rpo_bench.engine.pool.jobs import Outcome
from rpo_bench.engine.search.placed_run import placing_cost, run_placed
from rpo_bench.errors import UserError
from rpo_bench.lm_eval.schema import LmEvalRequest
from rpo_bench.spec.presets import AD_HOC, WRONG, merged, part_of, run_spec, with_decoding
from rpo_bench.spec.schema import RunSpec
from rpo_bench.spec.trust import Trust

DEFAULT_TASK = "civil_qa"


@dataclass(frozen=True)
class RunContext:
    """Folders, permissions and workers of a run. None of them changes a result.

    Attributes:
        output: the output and work folders.
        include_path: a folder of further tasks.
        trust: permissions for loading models.
        runner: how jobs are executed.
        judging: whether the task's judge compares the checkpoints at the end.
        harness: lm-eval tasks for base models and checkpoints; None for none.
    """

    output: Output
    include_path: Path | None = None
    trust: Trust = field(default_factory=Trust)
    runner: Runner = field(default_factory=Runner)
    judging: Judging = field(default_factory=Judging)
    harness: LmEvalRequest | None = None

    def plan_context(self, work: Path | None = None) -> PlanContext:
        """The context for planning; ``work`` replaces the output's work folder."""
        return PlanContext(work or self.output.work, self.include_path, self.trust, self.runner.resources)


@dataclass(frozen=True)
class RunCallbacks:
    """How a run reports progress and warnings.

    Attributes:
        console: the console for progress.
        note: called with each warning of the plan.
        planning: context manager that is active during planning.
    """

    console: Console
    note: Callable[[str], None]
    planning: Callable[[], AbstractContextManager[None]] = nullcontext


@dataclass(frozen=True)
class Execution:
    """The results of a run.

    Attributes:
        output: its folders.
        report: outcomes of its jobs.
        judgement: outcome of judging; None if nothing was judged.
        harness: outcomes of lm-eval tasks by cell; empty if none was missing.
    """

    output: Output
    report: RunReport
    judgement: Outcome | None
    harness: tuple[Outcome, ...] = ()


def run_matrix(spec: RunSpec, run_context: RunContext, callbacks: RunCallbacks) -> Execution:
    """Trains and measures the cells of a spec that have no result yet.

    Raises:
        UserError: the plan is invalid, or the folder belongs to another run.
        KeyboardInterrupt: Ctrl-C; finished stages are kept.
    """
    return _run(spec, run_context, callbacks, None)


def run_evaluation(
    spec: RunSpec, finished: Finished, run_context: RunContext, callbacks: RunCallbacks
) -> Execution:
    """Measures finished checkpoints; nothing is trained. Raises as ``run_matrix`` does."""
    return _run(spec, run_context, callbacks, finished)


def _run(
    spec: RunSpec, run_context: RunContext, callbacks: RunCallbacks, finished: Finished | None
) -> Execution:
    check_gpus(spec.generation, run_context.runner)
    context = start_workers_early()
    output = run_context.output
    with only_run(output):
        with callbacks.planning():
            around = run_context.plan_context()
            plan = plan_run(spec, around) if finished is None else plan_evaluation(spec, finished, around)
        run_context.judging.wanted(plan.task)
        request = None if run_context.harness is None else _checked(run_context.harness, plan, callbacks)
        check_same_run(output, spec, plan.identity, trains=finished is None)
        if missing := _unmeasured(plan, output):
            check_within_reach(spec.generation, [cell.checkpoint for cell in missing if cell.checkpoint])
        begin(output, spec, plan.identity)
        _tell(plan, callbacks, run_context.runner.quiet)
        done, shortfalls = run_placed(plan, output, run_context.runner, context, callbacks.console)
        for line in shortfalls:
            callbacks.note(line)
        plan, report = done.plan, done.report
        mark_tuned(spec, plan.cells, output)
        harness = (
            ()
            if request is None
            else harness_run(plan, output, request, run_context.runner, context, callbacks.console)
        )
        judgement = judge_run(
            plan, output, run_context.judging, run_context.runner, context, callbacks.console
        )
        return Execution(output, report, judgement, tuple(harness))


def _unmeasured(plan: Plan, output: Output) -> list[PlannedCell]:
    """The cells without a result."""
    return [cell for cell in plan.cells if not has_result(output, cell.spec)]


def _checked(request: LmEvalRequest, plan: Plan, callbacks: RunCallbacks) -> LmEvalRequest:
    """Loads lm-eval's tasks and checks them against the models before any work."""
    with collected_warnings() as warnings:
        found = check_harness(request, plan)
    for warning in warnings:
        callbacks.note(warning)
    return found


def plan_only(spec: RunSpec, run_context: RunContext, callbacks: RunCallbacks, scratch: Path) -> Plan:
    """Plans a run without executing it; planning writes to ``scratch`` only."""
    with callbacks.planning():
        plan = plan_run(spec, run_context.plan_context(scratch))
    check_same_run(run_context.output, spec, plan.identity)
    _tell(plan, callbacks, run_context.runner.quiet)
    return plan


def default_output(spec: RunSpec, preset: str | None, config: Path | None) -> Path:
    """``runs/<task>-<preset>``, or the config file's name for the preset's."""
    name = preset or ("quick" if config is None else config.stem)
    return Path("runs") / f"{Path(spec.task.removeprefix(AD_HOC)).name}-{name}"


def default_evaluation_output(task: str | None) -> Path:
    """``runs/eval-<task>``."""
    return Path("runs") / f"eval-{Path(task or DEFAULT_TASK).name}"


def evaluation_spec(changes: Mapping[str, Any], output: Output, include_path: Path | None = None) -> RunSpec:
    """The spec for measuring finished checkpoints in the same way as an earlier run in the folder.

    Args:
        changes: fields of RunSpec that differ. The default task is the earlier run's, else ``civil_qa``.
        output: the output folder.
        include_path: a folder of further tasks.

    Raises:
        UserError: the earlier spec would run code or contact a server, and the user didn't request it now.
    """
    below: dict[str, Any] = {}
    task = changes.get("task")
    if output.spec.exists():
        kept = ("evaluation", "prompt_format", "system_prompt", "loading", "generation")
        earlier = read_run_spec(output.spec)
        below = earlier.model_dump(include={**dict.fromkeys(kept, True), "data": {"long", "max_length"}})
        task = task or earlier_task(output, earlier, include_path)
        _check_repeated(output.spec, earlier, changes)
    request = {"methods": [{"name": "reference"}], **with_decoding(changes, below)}
    return run_spec(merged([below, request, {"task": task or DEFAULT_TASK}]), WRONG)


def _check_repeated(file: Path, earlier: RunSpec, changes: Mapping[str, Any]) -> None:
    """Checks that a stored spec runs no code and contacts no server unless the user repeats it.

    The folder may come from someone else.
    """
    reward = earlier.evaluation.reward
    if reward is not None and reward.startswith("python:") and "reward" not in part_of(changes, "evaluation"):
        raise UserError(
            f"{file} names the reward {reward}, whose code would run: if you trust it, give it again with "
            f"--reward {reward}."
        )
    if earlier.generation.backend == "openai" and "generation" not in changes:
        raise UserError(
            f"{file} names a server, which would receive your key: if you trust it, give it again with "
            "--generation-backend openai --generation-args base_url=…."
        )


def _tell(plan: Plan, callbacks: RunCallbacks, quiet: bool) -> None:
    for warning in plan.warnings:
        callbacks.note(warning)
    for line in () if quiet else placing_cost(plan):
        callbacks.console.print(line, soft_wrap=True)
