"""The lm-eval stage: runs lm-eval's tasks on a cell's model."""

import time
from collections.abc import Callable

from rpo_bench.engine.pool.worker import Done, Progress
from rpo_bench.engine.work import HarnessWork
from rpo_bench.lm_eval.find_tasks import task_manager
from rpo_bench.lm_eval.stored import add_measured, read_docs
from rpo_bench.results.store import StoredRecord, cell_folder, read_record


def harness_stage(work: HarnessWork, report: Callable[[Progress], None]) -> Done:
    """Runs the tasks on a cell's model and adds the results to its record."""
    from rpo_bench.lm_eval.harness import run_harness
    from rpo_bench.models.hf import HFModel

    started_at = time.monotonic()
    report(Progress("lm-eval"))
    cell = work.cell
    manager = task_manager(work.request.tasks, work.include_path)
    model = HFModel.load(
        cell.policy,
        allow_pickle=cell.trust.allow_pickle,
        trust_remote_code=cell.trust.trust_remote_code,
        loading=cell.spec.loading,
    )
    chat = cell.spec.prompt_format
    measured = run_harness(model.model, model.tokenizer, manager, work.request, chat, model.autocast)
    folder = cell_folder(cell.output.results, cell.spec)
    before = None if work.base is None else read_docs(work.base)
    add_measured(StoredRecord(folder, read_record(folder)), measured, work.request, before)
    return Done(work_seconds=time.monotonic() - started_at)
