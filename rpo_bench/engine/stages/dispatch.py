"""Dispatches jobs to stages in worker processes, whose fork server imports this module once."""

import contextlib
from collections.abc import Callable

from rpo_bench.engine.pool.jobs import Job
from rpo_bench.engine.pool.worker import Done, Progress
from rpo_bench.engine.stages.generate import generate
from rpo_bench.engine.stages.score import score
from rpo_bench.engine.stages.train import partner_pass, reference_pass, train
from rpo_bench.engine.work import CellWork, HarnessWork, JudgeWork, Stage
from rpo_bench.registry import load_plugins

with contextlib.suppress(Exception):  # slow to import; without it toxicity is unscored with the reason
    import profanity_check  # noqa: F401

_STAGES: dict[Stage, Callable[[CellWork, Callable[[Progress], None]], float]] = {
    "reference": reference_pass,
    "partners": partner_pass,
    "train": train,
    "generate": generate,
    "score": score,
}


def perform(job: Job, report: Callable[[Progress], None]) -> Done:
    """Runs a job, whose payload is (stage, work item)."""
    load_plugins()
    stage, work = job.payload
    if isinstance(work, JudgeWork):
        from rpo_bench.engine.stages.judge import judge_stage

        return judge_stage(work, report)
    if isinstance(work, HarnessWork):
        from rpo_bench.engine.stages.lm_eval import harness_stage

        return harness_stage(work, report)
    return Done(work_seconds=_STAGES[stage](work, report))
