"""Runs the part of a stage that trains or scores a model in as many processes as the cell has."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rpo_bench.engine.pool.ranks import run_ranks
from rpo_bench.engine.pool.worker import Progress
from rpo_bench.engine.stages.parts import release_models
from rpo_bench.engine.work import CellWork
from rpo_bench.registry import load_plugins
from trainers.memory import OutOfMemoryError
from trainers.ranks import ALONE, Ranks

Report = Callable[[Progress], None]


def in_processes(
    function: Callable[..., Any], work: CellWork, arguments: tuple[Any, ...], report: Report
) -> Any:
    """Calls a function in each of a cell's processes; returns the first one's result.

    A process whose memory runs out can't try again by itself, as the others wait for it. So all start again
    with half the micro-batch, from the last saved step.

    Args:
        function: called with the process's ``Ranks``, the cell's work, the arguments and ``report``.
        work: the cell.
        arguments: picklable.
        report: called with the first process's progress.
    """
    if work.processes.count == 1 and not work.processes.sharded:
        return function(ALONE, work, *arguments, report)
    release_models()  # the others start on this process's GPUs
    tried: int | None = None
    while True:
        try:
            return run_ranks(_with_plugins, (function, work, *arguments), work.processes, report)
        except OutOfMemoryError as error:
            if error.rows <= error.least or (tried is not None and error.rows >= tried):
                raise  # fewer rows don't help, or what ran out doesn't go by them
            tried = error.rows
            rows = max(error.least, error.rows // 2)
            warnings.warn(f"Out of memory: trying again with {rows} rows at a time.", stacklevel=2)
            work = _with_micro_batch(work, rows)


def _with_plugins(ranks: Ranks, function: Callable[..., Any], *arguments: Any) -> Any:
    load_plugins()
    return function(ranks, *arguments)


def _with_micro_batch(work: CellWork, rows: int) -> CellWork:
    training = work.spec.training.model_copy(update={"micro_batch_size": rows})
    return replace(work, spec=work.spec.model_copy(update={"training": training}))


def device_of(ranks: Ranks) -> str | None:
    """Where a process loads a model: beside the processor where it keeps a part of it only."""
    return "cpu" if ranks.sharded else None
