"""Runs a search: cells whose records decide which further cells are run, until no more are requested."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.context import BaseContext

from rich.console import Console

from rpo_bench.engine.execute import Runner, RunReport, run_growing
from rpo_bench.engine.output import Output
from rpo_bench.engine.plan.cells import PlannedCell
from rpo_bench.engine.plan.graph import outstanding
from rpo_bench.engine.plan.plan import Plan
from rpo_bench.engine.pool.jobs import Job, Outcome
from rpo_bench.engine.search.arms import Records
from rpo_bench.results.schema import Record
from rpo_bench.results.store import cell_folder, read_record

#: Maps the records so far to all cells that they ask for, by cell hash.
Wanted = Callable[[Records], Mapping[str, PlannedCell]]


@dataclass(frozen=True)
class Searched:
    """The outcome of a search.

    Attributes:
        plan: the plan with all requested cells, in order.
        report: the report of the run.
        records: records of the cells with a result, by cell hash.
    """

    plan: Plan
    report: RunReport
    records: Records


def run_search(
    plan: Plan, wanted: Wanted, output: Output, runner: Runner, context: BaseContext, console: Console
) -> Searched:
    """Runs the plan's cells and, as soon as a cell has its record, the further cells that it asks for.

    Which cells are run doesn't depend on the order in which cells end, if each request of ``wanted`` needs a
    fixed set of records. A failed cell is not retried, and the other cells continue.

    Args:
        plan: the first cells.
        wanted: maps the records so far to the requested cells.
        output: the output folder.
        runner: how jobs are executed.
        context: the multiprocessing context of workers.
        console: the console for progress.

    Raises:
        UserError: the disk is full or read-only.
        KeyboardInterrupt: Ctrl-C; finished stages are kept.
    """
    state = _Search(plan, wanted, output)
    first = state.jobs_of(plan.cells)
    report = run_growing(first, state.after, state.already, runner, context, console)
    report = replace(report, already=state.already)  # finished cells may be asked for on the way
    cells = tuple(state.cells.values())
    return Searched(
        replace(plan, cells=cells),
        report,
        {key: state.records[key] for key in state.cells if key in state.records},
    )


@dataclass
class _Search:
    """The requested cells and their records so far.

    Attributes:
        already: number of requested cells that were finished before this run.
    """

    plan: Plan
    wanted: Wanted
    output: Output
    cells: dict[str, PlannedCell] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)
    already: int = 0

    def jobs_of(self, new: Sequence[PlannedCell]) -> list[Job]:
        """The jobs of new cells, and of the cells that the finished ones among them ask for."""
        jobs: list[Job] = []
        while new:
            self.cells |= {cell.spec.hash: cell for cell in new}
            todo = outstanding(replace(self.plan, cells=tuple(new)), self.output)
            jobs += todo.jobs
            self.already += len(todo.done)
            new = self._asked_by(todo.done)
        return list({job.key: job for job in jobs}.values())

    def after(self, outcome: Outcome) -> list[Job]:
        """The jobs of the cells that a finished job's record asks for."""
        if outcome.job.phase != "score" or outcome.status != "done":
            return []
        return self.jobs_of(self._asked_by([self.cells[outcome.job.payload[1].spec.hash]]))

    def _asked_by(self, done: Sequence[PlannedCell]) -> list[PlannedCell]:
        if not done:
            return []
        for cell in done:
            self.records[cell.spec.hash] = read_record(cell_folder(self.output.results, cell.spec))
        return [cell for key, cell in self.wanted(self.records).items() if key not in self.cells]
