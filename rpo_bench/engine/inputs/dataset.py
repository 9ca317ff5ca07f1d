"""Training rows and held-out prompts: the task's own, or a task made from the user's file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from rpo_bench.data.conversation import alike
from rpo_bench.data.convert import prompts_of
from rpo_bench.data.readers import OnBad, read_rows
from rpo_bench.data.row import Prompt, Row
from rpo_bench.data.split import split_rows
from rpo_bench.engine.inputs.rewards import source_content
from rpo_bench.engine.output import Output, read_identity
from rpo_bench.errors import UserError
from rpo_bench.files.atomic import atomic_folder
from rpo_bench.files.hashing import hash_json
from rpo_bench.spec.presets import AD_HOC
from rpo_bench.spec.schema import GivenTask, RunSpec
from rpo_bench.spec.sections import DataSpec, EvaluationSpec
from rpo_bench.tasks.task import Task, TaskSpec, first_responses, load_folder, task_folders

AD_HOC_NEW_TOKENS = 128
_PROBE_PROMPTS = 32
_SPLIT_SEED = 0  # the split doesn't depend on the training seed


@dataclass(frozen=True)
class TrainingData:
    """Training rows with their content hash and source."""

    rows: tuple[Row, ...]
    hash: str
    where: str

    @classmethod
    def of(cls, rows: Sequence[Row], where: str) -> "TrainingData":
        """Hashes the rows without changing them."""
        return cls(tuple(rows), hash_json([row.model_dump(mode="json") for row in rows]), where)


@dataclass(frozen=True)
class AdHocParts:
    """A user's file split into training rows and held-out prompts."""

    name: str
    train: tuple[Row, ...]
    heldout: tuple[Prompt, ...]


def read_ad_hoc(spec: RunSpec) -> AdHocParts:
    """Reads and splits ``--data FILE``; raises UserError when it can't be used."""
    if spec.data.file is None:
        raise UserError(f"The task '{spec.task}' is made from a file: give the file with --data.")
    split = split_rows(_file_rows(spec.data), spec.data.test_fraction, _SPLIT_SEED)
    train = first_responses(split.train, spec.data.responses_per_prompt)
    return AdHocParts(spec.task.removeprefix(AD_HOC), tuple(train), tuple(prompts_of(split.test)))


def write_ad_hoc(
    parts: AdHocParts, probe: Sequence[Prompt], work: Path, new_tokens: int = AD_HOC_NEW_TOKENS
) -> Task:
    """Writes a task made from a user's file to a folder below ``work``, so that workers can load it.

    Args:
        parts: the split file.
        probe: training prompts; the probe prompts are chosen from them.
        work: ``--work-path``.
        new_tokens: the limit on response tokens.
    """
    probe = probe[:_PROBE_PROMPTS]
    prompts = [[prompt.model_dump(mode="json") for prompt in some] for some in (parts.heldout, probe)]
    content = prompts if new_tokens == AD_HOC_NEW_TOKENS else [*prompts, new_tokens]
    folder = work / "tasks" / f"{parts.name}-{hash_json(content)[:12]}"
    if not (folder / "task.yaml").is_file():
        spec = TaskSpec(
            name=parts.name,
            version=1,
            title=parts.name,
            description="Made of a file of rows: some of its prompts are held out.",
            train={"on_policy": "see the spec's data.file"},
            heldout="heldout.jsonl",
            probe="probe.jsonl" if probe else None,
            max_new_tokens=new_tokens,
        )
        with atomic_folder(folder) as temporary:
            write_prompts(temporary / "heldout.jsonl", parts.heldout)
            write_prompts(temporary / "probe.jsonl", probe)
            (temporary / "task.yaml").write_text(
                yaml.safe_dump(spec.model_dump(mode="json"), sort_keys=False)
            )
    return load_folder(folder)


def earlier_task(output: Output, spec: RunSpec, include_path: Path | None = None) -> GivenTask:
    """The task of the run in an output folder: its name, or the folder that was made from a file.

    The folder may come from someone else. A task whose code would run must therefore be named by the user.

    Raises:
        UserError: the folder made from the file is missing, or the task is unknown.
    """
    if spec.task in task_folders(include_path):
        return spec.task
    if not spec.task.startswith(AD_HOC):
        raise UserError(
            f"{output.spec} names the task '{spec.task}', whose code would run: if you trust it, give it "
            f"again with --task {spec.task}."
        )
    made = sorted((output.work / "tasks").glob(f"{spec.task.removeprefix(AD_HOC)}-*/task.yaml"))
    wanted = read_identity(output).task_hash
    for file in made:
        task = load_folder(file.parent)
        if task.spec.only_data and task_identity(task, spec.evaluation) == wanted:
            return GivenTask(str(file.parent))
    raise UserError(
        f"The task of {output.root} was made from {spec.data.file} and is missing in "
        f"{output.work / 'tasks'}: make it again with rpo-bench train-and-eval --config {output.spec} "
        f"--output-path {output.root}."
    )


def read_training_data(spec: RunSpec, task: Task, model: str) -> TrainingData:
    """The training rows for a base model, for tasks other than those made from ``--data`` alone.

    Raises:
        UserError: there are no rows, they can't be read, or they contain held-out prompts.
    """
    if spec.data.file is not None:
        rows, where = _file_rows(spec.data), spec.data.file
    else:
        rows = task.train_rows(spec.data.variant, model)
        where = f"{task.spec.name} ({spec.data.variant})"
    rows = [row for row in rows if row.split in (None, "train")]
    rows = first_responses(rows, spec.data.responses_per_prompt)
    if not rows:
        raise UserError(f"{where} has no rows to train on: all belong to its test split.")
    measured = {alike(prompt.text) for prompt in task.heldout}
    overlap = {row.prompt for row in rows if alike(row.prompt) in measured}
    if overlap:
        raise UserError(
            f"{where} contains {len(overlap):,} held-out prompts of the task '{task.spec.name}' "
            f"(ignoring spacing, case and Unicode form), such as {min(overlap)[:60]!r}: remove them."
        )
    return TrainingData.of(rows, where)


def task_identity(task: Task, evaluation: EvaluationSpec) -> str:
    """The content hash of the task and of the reward that replaces its own."""
    own = task.hash
    return own if evaluation.reward is None else hash_json([own, *source_content(evaluation.reward)])


def _file_rows(data: DataSpec) -> list[Row]:
    assert data.file is not None
    on_bad: OnBad = "skip" if data.skip_bad else "fail"
    return read_rows(data.file, split=data.split, on_bad=on_bad, columns=data.columns)


def write_prompts(file: Path, prompts: Sequence[Prompt]) -> None:
    """Writes prompts as JSON lines."""
    file.write_text("".join(prompt.model_dump_json() + "\n" for prompt in prompts), encoding="utf-8")
