"""The judge stage: the task's own judge compares the checkpoints of an output folder."""

import time
from collections.abc import Callable

from rpo_bench.engine.pool.worker import Done, Progress
from rpo_bench.engine.work import JudgeWork
from rpo_bench.judge.default_pairs import judge_results
from rpo_bench.results.store import read_results
from rpo_bench.tasks.task import load_folder

EMBEDDED = "embedded"  # the task's own judge


def judge_stage(work: JudgeWork, report: Callable[[Progress], None]) -> Done:
    """Runs the judge; the value is a ``Judged``."""
    from rpo_bench.judge.registry import JudgeOptions, make_judge

    started_at = time.monotonic()
    report(Progress("judge"))
    task = load_folder(work.task_folder)
    judge = make_judge(EMBEDDED, JudgeOptions(batch_size=64, trust=work.trust), [task])
    judged = judge_results(
        work.output.root,
        read_results([work.output.results]).records,
        judge,
        prompts=work.prompts,
        include_path=work.include_path,
        report=lambda done, of: report(Progress("judge", done, of)),
    )
    return Done(judged, time.monotonic() - started_at)
