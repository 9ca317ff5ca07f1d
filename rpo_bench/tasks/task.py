"""Tasks: folders with a task.yaml, and how they are found and loaded."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator

from rpo_bench.data.convert import prompts_of
from rpo_bench.data.readers import read_rows
from rpo_bench.data.row import Prompt, Row
from rpo_bench.errors import UserError, did_you_mean
from rpo_bench.files.hashing import hash_file, hash_folder, hash_json
from rpo_bench.files.settings_text import read_settings
from rpo_bench.files.text_files import numbered_lines
from rpo_bench.files.validation import first_problem
from rpo_bench.spec.schema import GivenTask
from rpo_bench.spec.settings import Settings
from rpo_bench.tasks.functions import load_function
from rpo_bench.tasks.source import DatasetSource, SourceParts
from rpo_bench.verifier import Verifier

#: Scores responses: (prompts, responses) → one number each, or None for no score.
RewardFunction = Callable[[Sequence[Prompt], Sequence[str]], Sequence[float | None]]


#: The file of held-out prompts that were cut to fit a run's models.
HELDOUT = "heldout.jsonl"


class TaskSpec(Settings):
    """task.yaml. Paths are relative to its folder."""

    name: str
    version: int = Field(ge=1)
    title: str
    description: str
    train: dict[str, str] = Field(
        default_factory=dict,
        description="variant, or variant/model where it differs by base model → rows file",
    )
    heldout: str | None = Field(None, description="JSONL of prompts to evaluate on")
    tuning: str | None = Field(
        None, description="JSONL of prompts to choose settings by; without it, some training prompts"
    )
    probe: str | None = Field(None, description="JSONL of prompts whose reward is followed in training")
    source: DatasetSource | None = Field(
        None, description="a public dataset, instead of train, heldout, tuning and probe"
    )
    reward: str | None = Field(None, description="FILE.py:FUNCTION")
    reward_files: tuple[str, ...] = Field((), description="further files that the reward is made of")
    proxy: str | None = Field(None, description="folder of a reward model that stands in for the gold reward")
    judge: str | None = Field(None, description="folder of a small language model that compares responses")
    models: dict[str, str] = Field(default_factory=dict, description="name → folder of a base model")
    reference_samples: dict[str, str] = Field(
        default_factory=dict, description="model name → .npz with rewards (P, N) of reference samples"
    )
    learning_rates: dict[str, Annotated[float, Field(gt=0)]] = Field(
        default_factory=dict, description="by method; '*' for all others"
    )
    max_new_tokens: int = Field(ge=1)

    @property
    def only_data(self) -> bool:
        """Whether it names only rows and prompts: no code, models or dataset."""
        return not (self.source or self.reward or self.proxy or self.judge or self.models)

    @model_validator(mode="after")
    def _has_data(self) -> Self:
        if self.source is None and not (self.train and self.heldout):
            raise ValueError("a task needs 'train' and 'heldout', or a 'source'")
        if self.source is not None and (self.train or self.heldout or self.tuning or self.probe):
            raise ValueError("'source' replaces 'train', 'heldout', 'tuning' and 'probe': leave them out")
        return self


@dataclass(frozen=True)
class Task:
    """A task and its folder.

    Attributes:
        spec: the content of its ``task.yaml``.
        folder: its folder.
        heldout_folder: a folder of held-out prompts that replace its own: those that fit a run's models.
    """

    spec: TaskSpec
    folder: Path
    heldout_folder: Path | None = None

    @cached_property
    def heldout(self) -> list[Prompt]:
        """The held-out prompts for measuring checkpoints."""
        if self.heldout_folder is not None:
            return read_prompts(self.heldout_folder / HELDOUT)
        if self.spec.heldout is None:
            return prompts_of(self._parts.heldout)
        return read_prompts(self.folder / self.spec.heldout)

    @cached_property
    def tuning(self) -> list[Prompt]:
        """The prompts that settings are chosen by; none where they are to be set aside from the data."""
        return read_prompts(self.folder / self.spec.tuning) if self.spec.tuning else []

    @cached_property
    def probe(self) -> list[Prompt]:
        """The probe prompts, whose reward is measured during training (none are held out)."""
        if self.spec.source is not None:
            return prompts_of(self._parts.probe)
        return read_prompts(self.folder / self.spec.probe) if self.spec.probe else []

    @cached_property
    def _parts(self) -> SourceParts:
        """The parts of the task's dataset; checks that the verifier can read every prompt's answer."""
        assert self.spec.source is not None
        parts = self.spec.source.parts(self.spec.name, self.folder)
        rows = [*parts.heldout, *parts.train, *parts.probe]
        if isinstance(self.reward, Verifier):
            lost = {prompt.prompt_id for prompt in self.reward.unanswerable(prompts_of(rows))}
            bad = next((row for row in rows if row.prompt_id in lost), None)
            if bad is not None:
                raise UserError(f"{bad.source}: {self.spec.reward} can't read its answer.")
        return parts

    def train_rows(self, variant: str, model: str | None = None) -> list[Row]:
        """The training rows for a base model: from ``train_file`` or the dataset.

        A public dataset has no variants, so it gives the same rows for all.
        """
        if self.spec.source is not None:
            return list(self._parts.train)
        return read_rows(self.train_file(variant, model))

    @cached_property
    def reward(self) -> RewardFunction | None:
        """The gold reward, or None if the task has none."""
        if self.spec.reward is None:
            return None
        file, _, function = self.spec.reward.partition(":")
        reward: RewardFunction = load_function(self.folder / file, function)
        return reward

    @cached_property
    def hash(self) -> str:
        """Content hash of the task: version, prompts, the reward's source and the proxy."""
        sources = [self.spec.reward.partition(":")[0], *self.spec.reward_files] if self.spec.reward else []
        reward = [hash_file(self.folder / file) for file in sources]
        prompts = [p.model_dump() for p in self.heldout]
        identity = [self.spec.name, self.spec.version, self.spec.max_new_tokens, prompts, reward]
        if self.spec.proxy is not None:
            identity.append(hash_folder(self.folder / self.spec.proxy))
        return hash_json(identity)

    def train_file(self, variant: str, model: str | None = None) -> Path:
        """The file of training rows for a base model.

        Args:
            variant: One of the task's data sets.
            model: One of the task's base models. Data sampled from a reference policy differ by model; a
                model without its own data gets the data for all models, or else the first model's.

        Raises:
            UserError: There is no such variant.
        """
        train = self.spec.train
        fitting = [key for key in train if key.partition("/")[0] == variant]
        if not fitting:
            hint = did_you_mean(variant, {key.partition("/")[0] for key in train})
            raise UserError(f"Task '{self.spec.name}' has no data variant '{variant}'.{hint}")
        chosen = next((key for key in (f"{variant}/{model}", variant) if key in train), fitting[0])
        return self.folder / train[chosen]

    def model_folder(self, name: str) -> Path | None:
        """The folder of one of the task's base models, or None if there is none of that name."""
        return self.folder / self.spec.models[name] if name in self.spec.models else None


def task_folders(include_path: Path | None = None) -> dict[str, Path]:
    """The known tasks: bundled ones and those under ``--include_path``."""
    import tasks

    roots = [Path(p) for p in tasks.__path__] + ([include_path] if include_path else [])
    return {f.parent.name: f.parent for root in roots for f in sorted(root.glob("*/task.yaml"))}


def load_task(given: GivenTask, include_path: Path | None = None) -> Task:
    """The task named by a user: a known one, or one in a folder, whose code is then trusted.

    A known name always means the known task, even if there is a folder of that name. ``./NAME`` means the
    folder.

    Raises:
        UserError: There is no such task.
    """
    if given not in task_folders(include_path) and (Path(given) / "task.yaml").is_file():
        return load_folder(Path(given))
    return known_task(given, include_path)


def known_task(name: str, include_path: Path | None = None) -> Task:
    """The task named in a stored file: only known tasks, never folders.

    Raises:
        UserError: There is no such task.
    """
    folders = task_folders(include_path)
    if name not in folders:
        raise UserError(f"Unknown task '{name}'.{did_you_mean(name, folders)}")
    return load_folder(folders[name])


def load_folder(folder: Path) -> Task:
    """The task in a folder chosen by the program; raises UserError when it can't be read."""
    file = folder / "task.yaml"
    try:
        return Task(TaskSpec.model_validate(read_settings(file, str(file))), folder)
    except ValidationError as error:
        raise UserError(f"{file}: {_task_problem(error)}") from error


def read_prompts(file: Path) -> list[Prompt]:
    """Reads prompts from a JSONL file; raises UserError, naming the line, for invalid or duplicate ones."""
    first: dict[str, int] = {}
    prompts = []
    for line in numbered_lines(file):
        if line.problem:
            raise UserError(f"{file} line {line.number}: {line.problem}.")
        if not line.text.strip():
            continue
        try:
            prompt = Prompt.model_validate_json(line.text)
        except ValidationError as error:
            raise UserError(f"{file} line {line.number}: {first_problem(error)}.") from error
        if prompt.prompt_id in first:
            raise UserError(
                f"{file} line {line.number}: the prompt_id '{prompt.prompt_id}' is already used in "
                f"line {first[prompt.prompt_id]}."
            )
        first[prompt.prompt_id] = line.number
        prompts.append(prompt)
    return prompts


def _task_problem(error: ValidationError) -> str:
    """The first validation error of a task.yaml as a sentence, with a suggested field."""
    first = error.errors()[0]
    if first["type"] != "extra_forbidden":
        return f"{first_problem(error)}."
    where = ".".join(str(part) for part in first["loc"])
    model = DatasetSource if where.startswith("source.") else TaskSpec
    return f"unknown field '{where}'.{did_you_mean(str(first['loc'][-1]), model.model_fields)}"


def first_responses(rows: Sequence[Row], k: int | None) -> list[Row]:
    """Keeps the first k responses of every prompt (all when k is None), in their order."""
    if k is None:
        return list(rows)
    seen: dict[str, int] = {}
    kept = []
    for row in rows:
        seen[row.prompt_id] = seen.get(row.prompt_id, 0) + 1
        if seen[row.prompt_id] <= k:
            kept.append(row)
    return kept
