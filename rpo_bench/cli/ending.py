"""How a run begins and ends on the terminal: what was done, what failed, the table, where the page is."""

from collections.abc import Iterator
from contextlib import contextmanager

from rpo_bench.cli.console import err, out
from rpo_bench.engine.output import Output
from rpo_bench.engine.run import RunReport, failure_lines, summary


@contextmanager
def planning(quiet: bool) -> Iterator[None]:
    """Says on a terminal that the plan is being checked, as long as it takes."""
    console = err()
    if quiet or not console.is_terminal:
        yield
    else:
        with console.status("Checking the plan, the data and the models …"):
            yield


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
