"""Runs cells in rounds: each round is chosen from the records so far, until no more are needed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing.context import BaseContext

from rich.console import Console

from rpo_bench.engine.execute import Runner, RunReport, run_plan
from rpo_bench.engine.output import Output
from rpo_bench.engine.plan.cells import PlannedCell
from rpo_bench.engine.plan.plan import Plan
from rpo_bench.engine.search.arms import Records
from rpo_bench.results.schema import Record
from rpo_bench.results.store import cell_folder, read_record

Wanted = Callable[[Records], Mapping[str, PlannedCell]]


@dataclass(frozen=True)
class Rounds:
    """The outcome of all rounds.

    Attributes:
        plan: the plan with all requested cells, in order.
        report: one report for all rounds.
        records: records of the cells with a result, by cell hash.
    """

    plan: Plan
    report: RunReport
    records: Records


def run_rounds(
    plan: Plan, wanted: Wanted, output: Output, runner: Runner, context: BaseContext, console: Console
) -> Rounds:
    """Runs the plan's cells, then further cells chosen from the records, until no more are requested.

    A failed cell is not retried, and the other cells continue.

    Args:
        plan: the first round's cells.
        wanted: maps the records so far to further cells, by cell hash.
        output: the output folder.
        runner: how jobs are executed.
        context: the multiprocessing context of workers.
        console: the console for progress.

    Raises:
        UserError: the disk is full or read-only.
        KeyboardInterrupt: Ctrl-C; finished stages are kept.
    """
    cells = {cell.spec.hash: cell for cell in plan.cells}
    new, records, reports = dict(cells), dict[str, Record](), list[RunReport]()
    while new:
        round_ = replace(plan, cells=tuple(new.values()))
        reports.append(run_plan(round_, output, runner, context, console))
        lost = reports[-1].lost_cells
        done = [cell for cell in new.values() if cell.spec.name not in lost]
        records |= {cell.spec.hash: read_record(cell_folder(output.results, cell.spec)) for cell in done}
        new = {key: cell for key, cell in wanted(records).items() if key not in cells}
        cells |= new
    return Rounds(replace(plan, cells=tuple(cells.values())), _together(reports), records)


def _together(reports: Sequence[RunReport]) -> RunReport:
    """Merges the reports of all rounds."""
    return RunReport(
        outcomes=tuple(outcome for report in reports for outcome in report.outcomes),
        already=sum(report.already for report in reports),
        wall=reports[-1].wall,
        workers=max(report.workers for report in reports),
    )
