"""The schema of runs and cells, and a cell's identity: its hash."""

from typing import Annotated, Any, NewType

from pydantic import Field, model_validator

from rpo_bench.files.hashing import hash_json
from rpo_bench.spec.sections import (
    FIRST_PROTOCOL,
    DataSpec,
    EvaluationSpec,
    GenerationSpec,
    LoadingSpec,
    MethodSpec,
    PromptFormat,
    TrainingSpec,
    without_neutral,
)
from rpo_bench.spec.settings import MAX_NAME, Name, Seed, Settings, Strength

MAX_BUDGET = 10_000  # times the training's steps

#: A task given by a user: a known name, or a folder, whose code is then run. Task names in records are plain
#: strings, which :func:`rpo_bench.tasks.task.load_task` doesn't accept.
GivenTask = NewType("GivenTask", str)


class CellSpec(Settings):
    """One training run and its evaluation: task, base model, method, strength, seed and settings."""

    task: str
    task_hash: str = Field(description="content hash of the task: prompts, reward, version")
    data: DataSpec
    data_hash: str = Field(description="content hash of the rows that are trained on")
    world_hash: str | None = Field(
        None, description="content hash of the reward and the length limit that an online method learns under"
    )
    model: str = Field(description="the name that results use")
    model_path: str
    model_hash: str = Field(description="content hash of the base model's folder")
    method: MethodSpec
    strength: float | None = Field(description="None: the reference policy itself, not trained")
    seed: Seed
    training: TrainingSpec
    evaluation: EvaluationSpec
    prompt_format: PromptFormat | None = Field(None, description="None: prompts go in as they are")
    loading: LoadingSpec = LoadingSpec()
    generation: GenerationSpec = GenerationSpec()

    @model_validator(mode="before")
    @classmethod
    def _of_version_0_1(cls, value: Any) -> Any:
        return with_first_protocol(value)

    @property
    def hash(self) -> str:
        """The cell's identity: SHA-256 of all fields above except file paths."""
        return hash_json(self._without("model_path"))

    @property
    def training_hash(self) -> str:
        """The identity of the checkpoint, independent of evaluation settings."""
        return hash_json(self._without("model_path", "evaluation", "task_hash", "generation"))

    def _without(self, *fields: str) -> dict[str, Any]:
        identity = self.model_dump(mode="json", exclude=set(fields))
        for where in ("file", "columns"):
            identity["data"].pop(where, None)  # its content is in data_hash
        del identity["training"]["reward"]  # its content is in world_hash
        identity["training"] = without_neutral(identity["training"])
        del identity["loading"]["revision"]  # its content is in model_hash
        del identity["loading"]["device_map"]
        return without_later_defaults(identity)

    @property
    def name(self) -> str:
        """Folder name: ``<method>-<strength>-<seed>-<hash8>``."""
        strength = "none" if self.strength is None else f"{self.strength:g}"
        label = "".join(c if c.isalnum() or c in "._=-" else "_" for c in self.method.label).rstrip("_")
        return f"{label}-{strength}-{self.seed}-{self.hash[:8]}"


def with_first_protocol(stored: Any) -> Any:
    """Stored settings; those without a setting for batches get version 0.1's, which wrote them."""
    training = stored.get("training") if isinstance(stored, dict) else None
    if isinstance(training, dict) and not FIRST_PROTOCOL.keys() & training.keys():
        return {**stored, "training": {**training, **FIRST_PROTOCOL}}
    return stored


def without_later_defaults(settings: dict[str, Any]) -> dict[str, Any]:
    """A cell's settings without default values of fields added after the first published cells.

    A cell therefore keeps its identity when a release adds a setting.
    """
    kept = dict(settings)
    if kept.get("prompt_format", "") is None:
        del kept["prompt_format"]
    backend = kept.get("generation", {}).get("backend", GenerationSpec().backend)
    kept.pop("generation", None)
    if backend != GenerationSpec().backend:
        kept["generation"] = backend  # its other settings don't change the distribution
    if "loading" in kept:
        default = LoadingSpec().model_dump(mode="json")
        changed = {name: value for name, value in kept["loading"].items() if value != default.get(name)}
        kept["loading"] = changed
        if not changed:
            del kept["loading"]
    if isinstance(training := kept.get("training"), dict):
        # The reference policy isn't trained, and the training of checkpoints from elsewhere is unknown.
        same = kept.get("strength", "") is None or kept.get("data_hash") == ""
        same = same or FIRST_PROTOCOL.items() <= training.items()
        kept["training"] = {name: v for name, v in training.items() if not (same and name in FIRST_PROTOCOL)}
    return kept


class TunedRates(Settings):
    """Learning rates chosen by ``rpo-bench tune``, by ``method@base model``."""

    file: str = Field(description="content hash of the file")
    task: str = Field(description="the task that it was tuned on")
    steps: int = Field(ge=1, description="optimiser steps that it was tuned with")
    rates: dict[str, Annotated[float, Field(gt=0)]]
    configurations: dict[str, int] = Field(description="how many were tried for each")
    best_of: dict[str, tuple[float, ...]] = Field(
        default_factory=dict, description="expected best area of k of the learning rates tried, k = 1 …"
    )
    cap: float | None = Field(None, gt=0, description="nats up to which these areas are taken")


def tuned_key(method: str, model: str) -> str:
    """The key of a tuned learning rate: the method's label and the base model's name."""
    return f"{method}@{model}"


class RunSpec(Settings):
    """The spec of ``train-and-eval``, which the plan turns into cells."""

    task: Annotated[GivenTask, Field(max_length=MAX_NAME)] = GivenTask("civil_qa")
    data: DataSpec = DataSpec()
    models: tuple[Name, ...] = Field(("decoder",), min_length=1, description="the task's names, or folders")
    methods: tuple[MethodSpec, ...] = Field(min_length=1)
    strengths: dict[str, Annotated[tuple[Strength, ...], Field(min_length=1)]] = Field(
        default_factory=dict, description="by method name; '*' for all; the method's own otherwise"
    )
    n_strengths: int | None = Field(None, ge=1, description="how many of a method's own strengths to run")
    kl_budgets: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (), description="nats: near each of these, further strengths of every method are placed"
    )
    placed: int = Field(6, ge=1, description="how many further strengths of a method, at most")
    seeds: tuple[Seed, ...] = Field((0, 1, 2), min_length=1)
    budgets: tuple[Annotated[int, Field(ge=1, le=MAX_BUDGET)], ...] = Field(
        (1,), min_length=1, description="multiples of the training's steps: every cell at each of them"
    )
    learning_rates: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (), description="a sweep: every cell at each of them, in place of the training's one"
    )
    tuned: TunedRates | None = Field(None, description="in place of the methods' usual learning rates")
    training: TrainingSpec = TrainingSpec()
    evaluation: EvaluationSpec = EvaluationSpec()
    prompt_format: str | None = Field(
        None, description="'none', 'chat', a .jinja chat template or a text file with {prompt} in it"
    )
    system_prompt: str | None = Field(None, description="of a chat format")
    loading: LoadingSpec = LoadingSpec()
    generation: GenerationSpec = GenerationSpec()
