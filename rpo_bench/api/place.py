"""Where a run happens: folders, permissions and workers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

from rpo_bench.errors import UserError
from rpo_bench.spec.python_settings import SpecSettings

Paths = str | Path | Sequence[str | Path]


class Place(TypedDict, total=False):
    """Folders, permissions and workers of a run. None of them changes a result.

    Attributes:
        output_path: the output folder.
        work_path: the folder for checkpoints and intermediate files; ``<output_path>/work`` by default.
        include_path: a folder of further tasks.
        data_files: split → file, for tasks from a public dataset; applies to the rest of the process.
        workers: number of processes; one per GPU by default, or per core.
        threads: torch threads per worker.
        gpus_per_cell: GPUs that a cell's model trains on; 1 by default.
        parallel: "auto", "replicated" or "sharded": whether they each keep all weights or a part.
        progress: show progress on standard error.
        judge: ``embedded`` or ``none``; by default the task's own judge if it has one.
        trust_remote_code: run code in model folders.
        allow_pickle: load pickled weights, which can run code.
    """

    output_path: str | Path
    work_path: str | Path
    include_path: str | Path
    data_files: Mapping[str, str | Path]
    workers: int
    threads: int
    gpus_per_cell: int
    parallel: str
    progress: bool
    judge: str
    trust_remote_code: bool
    allow_pickle: bool


class RunSettings(SpecSettings, Place, total=False):
    """All keyword arguments of ``train_and_eval``."""


def paths_of(given: Paths) -> tuple[Path, ...]:
    """One or several given paths; raises UserError for none."""
    found = (given,) if isinstance(given, str | Path) else tuple(given)
    if not found:
        raise UserError("No folder was given: give at least one.")
    return tuple(Path(path) for path in found)
