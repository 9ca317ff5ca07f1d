"""Cells in rounds: what is trained next follows from the records so far, until nothing more is wanted."""

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
    """How rounds ended.

    Attributes:
        plan: with all cells that were wanted, in the order in which they came.
        report: of all rounds together.
        records: of the cells that have a result, by cell hash.
    """

    plan: Plan
    report: RunReport
    records: Records


def run_rounds(
    plan: Plan, wanted: Wanted, output: Output, runner: Runner, context: BaseContext, console: Console
) -> Rounds:
    """Does the cells that are wanted, then those that are wanted in view of their records, and so on.

    A cell that fails is tried once, and doesn't keep others from going on.

    Args:
        plan: its cells come first.
        wanted: from the records so far to further cells, by cell hash.
        output: where results are.
        runner: how the work is done.
        context: of the worker processes.
        console: where progress goes.

    Raises:
        UserError: nothing more can be written.
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
    """The reports of all rounds as one."""
    return RunReport(
        outcomes=tuple(outcome for report in reports for outcome in report.outcomes),
        already=sum(report.already for report in reports),
        wall=reports[-1].wall,
        workers=max(report.workers for report in reports),
    )
