"""How a run begins and ends on the terminal: what was done, what failed, the table, where the page is."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import BaseContext

from rpo_bench.cli.console import err, out
from rpo_bench.engine.judging import Judging, judge_run
from rpo_bench.engine.output import Output
from rpo_bench.engine.plan import Plan
from rpo_bench.engine.run import Runner, RunReport, counted, failure_lines, summary


@contextmanager
def planning(quiet: bool) -> Iterator[None]:
    """Says on a terminal that the plan is being checked, as long as it takes."""
    console = err()
    if quiet or not console.is_terminal:
        yield
    else:
        with console.status("Checking the plan, the data and the models …"):
            yield


def judged(plan: Plan, output: Output, judging: Judging, runner: Runner, context: BaseContext) -> bool:
    """Lets the task's judge compare the checkpoints, and says what came of it; False where it failed."""
    begun = time.monotonic()
    outcome = judge_run(plan, output, judging, runner, context, err())
    if outcome is None:
        return True
    if outcome.status != "done":
        said = f"The judge failed: {outcome.reason} The results stand; the same command tries it again."
        err().print(said, markup=False, soft_wrap=True)
        return False
    took = time.monotonic() - begun
    done = f"{counted(outcome.value.changed, 'checkpoint')} judged by {outcome.value.judge} in {took:.0f} s"
    err().print(f"{done}: {outcome.value.calls:,} calls.", markup=False, soft_wrap=True)
    return True


def finish(output: Output, report: RunReport) -> int:
    """Prints the end of a run; returns the exit code: 0, or 1 when cells have no result."""
    messages = err()
    for line in summary(report):
        messages.print(line, markup=False, soft_wrap=True)
    if output.results.is_dir():
        publish(output)
    if not report.lost_cells:
        return 0
    for line in failure_lines(report.failures, report.lost_cells):
        messages.print(line, markup=False, soft_wrap=True)
    messages.print("The same command tries them again.")
    return 1


def publish(output: Output) -> None:
    """Builds the page from all results of the folder, and prints the same table."""
    from rpo_bench.site.build import build_leaderboard
    from rpo_bench.site.terminal import print_table

    board = build_leaderboard([output.results], output.leaderboard)
    print_table(board)
    out().print(f"Page: {output.leaderboard / 'index.html'}", markup=False, soft_wrap=True)
