"""Start and end of a run on the terminal: the summary, failures, the table and the page's path."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rpo_bench.cli.console import err, out, say_notes
from rpo_bench.cli.measuring_flags import JudgingFlags
from rpo_bench.cli.run_flags import RunnerFlags, TrustFlags
from rpo_bench.engine.execute import Runner, RunReport, failure_lines, summary
from rpo_bench.engine.output import Output
from rpo_bench.engine.plan.resources import parallel_of
from rpo_bench.engine.pool.jobs import Outcome
from rpo_bench.engine.run import Execution, RunCallbacks, RunContext
from rpo_bench.spec.trust import Trust
from rpo_bench.wording import counted


def run_context_of(
    root: Path, runner: RunnerFlags, trust: TrustFlags, judge: JudgingFlags, started_at: float
) -> RunContext:
    """The run's context from flags; ``started_at`` is ``time.monotonic()`` when the command started."""
    how = Runner(
        runner.workers,
        runner.threads,
        runner.quiet,
        started_at,
        runner.gpus_per_cell,
        parallel_of(runner.parallel),
    )
    output = Output(root, runner.work_path or root / "work")
    return RunContext(output, None, Trust(**vars(trust)), how, judge.judging())


def callbacks_of(quiet: bool) -> RunCallbacks:
    """Notes and progress on standard error."""

    def note(text: str) -> None:
        say_notes([text])

    return RunCallbacks(err(), note, lambda: planning(quiet))


@contextmanager
def planning(quiet: bool) -> Iterator[None]:
    """Shows a status on a terminal while the plan is checked."""
    console = err()
    if quiet or not console.is_terminal:
        yield
    else:
        with console.status("Checking the plan, the data and the models …"):
            yield


def finish(done: Execution) -> int:
    """Prints the summary of a run; returns the exit code: 0, or 1 if a cell has no result."""
    messages, output, report = err(), done.output, done.report
    for line in _harnessed(done.harness):
        messages.print(line, soft_wrap=True)
    if done.judgement is not None:
        messages.print(_judged(done.judgement), soft_wrap=True)
    for line in summary(report):
        messages.print(line, soft_wrap=True)
    if output.results.is_dir():
        publish(output)
    if not report.lost_cells:
        last = [*done.harness, *([] if done.judgement is None else [done.judgement])]
        return int(any(outcome.status != "done" for outcome in last))
    say_failures(report)
    return 1


def say_failures(report: RunReport) -> None:
    """Prints the cells without a result, and why."""
    for line in failure_lines(report.failures, report.lost_cells):
        err().print(line, soft_wrap=True)
    err().print("Run the same command again to retry them.")


def _harnessed(outcomes: Sequence[Outcome]) -> list[str]:
    """Results of lm-eval's tasks: how many models were measured, and why others failed."""
    done = sum(outcome.status == "done" for outcome in outcomes)
    lines = [f"lm-eval: {counted(done, 'model')} measured."] if done else []
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    return lines + [f"lm-eval failed on {o.job.cell}: {o.reason} Log: {o.job.log}" for o in failed]


def _judged(outcome: Outcome) -> str:
    """Results of the task's judge on the checkpoints."""
    if outcome.status != "done":
        return (
            f"The judge failed: {outcome.reason} The results are kept; run the same command again to retry."
        )
    found = outcome.value
    done = f"{counted(found.changed, 'checkpoint')} judged by {found.judge} in {outcome.busy_seconds:.0f} s"
    return f"{done}: {found.calls:,} calls."


def publish(output: Output) -> None:
    """Builds the page from all results of the folder and prints its table."""
    from rpo_bench.site.build import build_leaderboard
    from rpo_bench.site.terminal import print_table

    board = build_leaderboard([output.results], output.leaderboard)
    print_table(board)
    out().print(f"Page: {output.leaderboard / 'index.html'}", soft_wrap=True)
