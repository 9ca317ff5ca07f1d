"""The last step of a run: the task's judge compares the measured checkpoints."""

from dataclasses import dataclass
from multiprocessing.context import BaseContext
from pathlib import Path

from rich.console import Console

from rpo_bench.engine.execute import Runner, run_job
from rpo_bench.engine.output import Output
from rpo_bench.engine.plan.plan import Plan
from rpo_bench.engine.pool.jobs import Job, Outcome
from rpo_bench.engine.stages.judge import EMBEDDED
from rpo_bench.engine.work import JudgeWork
from rpo_bench.errors import UserError
from rpo_bench.files.hashing import hash_folder
from rpo_bench.judge.default_pairs import PROMPTS, unjudged
from rpo_bench.judge.naming import judge_name
from rpo_bench.results.store import read_results
from rpo_bench.tasks.task import Task

NONE = "none"
FLAG = "--judge"

_PER_CALL = 2e-3  # seconds; used only to estimate the time left


@dataclass(frozen=True)
class Judging:
    """Whether and how a run's checkpoints are compared.

    Attributes:
        judge: ``embedded``, ``none``, or None: the task's own judge where it has one.
        prompts: Number of held-out prompts, evenly spaced; one sample of each.
    """

    judge: str | None = None
    prompts: int = PROMPTS

    def wanted(self, task: Task) -> bool:
        """Whether to judge; raises UserError when the requested judge doesn't exist."""
        if self.judge not in (None, EMBEDDED, NONE):
            raise UserError(
                f"{FLAG} {self.judge}: a run is judged by '{EMBEDDED}' or '{NONE}'; any other judge compares "
                "its stored responses afterwards: rpo-bench judge run RESULTS --judge …"
            )
        if self.judge == EMBEDDED and task.spec.judge is None:
            raise UserError(f"{FLAG} {EMBEDDED}: the task '{task.spec.name}' has no judge of its own.")
        return self.judge != NONE and task.spec.judge is not None


def judge_run(
    plan: Plan, output: Output, judging: Judging, runner: Runner, context: BaseContext, console: Console
) -> Outcome | None:
    """Judges the checkpoints of an output folder that aren't judged yet; None if all are."""
    if not judging.wanted(plan.task) or not output.results.is_dir():
        return None
    records = read_results([output.results]).records
    if not unjudged(records, embedded_name(plan.task)):
        return None
    around = plan.context
    work = JudgeWork(
        plan.task.folder.resolve(), output.resolved, around.trust, judging.prompts, around.include_path
    )
    job = Job(
        key="judge",
        cell="judge",
        phase="judge",
        log=output.log("judge"),
        kind="shared",
        seconds=4 * judging.prompts * len(records) * _PER_CALL,
        payload=("judge", work),
    )
    return run_job(job, runner, context, console)


def embedded_name(task: Task) -> str:
    """The name of the task's own judge in results; no weights are loaded."""
    folder = task.folder / Path(str(task.spec.judge))
    return judge_name({"backend": EMBEDDED, "model": folder.name, "content": hash_folder(folder)})
