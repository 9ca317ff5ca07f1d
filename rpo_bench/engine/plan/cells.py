"""The cells of a run: methods × strengths × learning rates × budgets × seeds on every base model."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rpo_bench.engine.inputs.base_models import BaseModel
from rpo_bench.engine.inputs.choices import Choice
from rpo_bench.engine.inputs.dataset import TrainingData
from rpo_bench.engine.inputs.rewards import GOLD, training_identity
from rpo_bench.errors import UserError
from rpo_bench.files.hashing import hash_json
from rpo_bench.files.plain_data import shown_name
from rpo_bench.spec.schema import CellSpec, RunSpec, tuned_key
from rpo_bench.spec.sections import DataSpec, MethodSpec, TrainingSpec
from rpo_bench.tasks.task import Task
from trainers.objective import Method, Need
from trainers.rates import default_rate

#: The method name of the base model itself in results.
REFERENCE = MethodSpec(name="reference")

#: Cost of a step relative to a step of SFT.
_STEP_COST = {Need.VALUE: 0.5, Need.KL_PARTNER: 0.4}


@dataclass(frozen=True)
class PlannedCell:
    """A cell with settings that aren't part of its identity.

    Attributes:
        spec: the identity.
        model: the base model.
        method: the method at its strength; None for the base model itself and for checkpoints of an unknown
            method.
        checkpoint: a finished checkpoint to measure instead of training one.
    """

    spec: CellSpec
    model: BaseModel
    method: Method | None = None
    checkpoint: Path | None = None

    @property
    def strength_name(self) -> str:
        """The name of the strength; "" without a method."""
        return "" if self.method is None else self.method.strength_name

    @property
    def needs(self) -> frozenset[Need]:
        """The method's data requirements; empty where nothing is trained."""
        return self.method.needs if self.method is not None and self.checkpoint is None else frozenset()

    @property
    def samples_policy(self) -> bool:
        """Whether training samples the policy; no log-probs of rows are computed beforehand then."""
        return self.method is not None and self.checkpoint is None and self.method.samples_policy

    @property
    def trained(self) -> bool:
        """Whether there is something to train."""
        return self.method is not None and self.checkpoint is None

    @property
    def step_cost(self) -> float:
        """The cost of a training step relative to SFT; 0 where nothing is trained."""
        return float(self.trained) + sum(_STEP_COST.get(need, 0.0) for need in self.needs)


def new_tokens(spec: RunSpec, task: Task) -> int:
    """The limit on response tokens."""
    return spec.evaluation.decoding.max_new_tokens or task.spec.max_new_tokens


def reference_cell(spec: RunSpec, task: Task, task_hash: str, model: BaseModel) -> PlannedCell:
    """The cell of the base model itself; it doesn't depend on data or training settings."""
    identity = CellSpec(
        task=task.spec.name,
        task_hash=task_hash,
        data=DataSpec(),
        data_hash="",
        model=model.name,
        model_path=str(model.path),
        model_hash=model.hash,
        method=REFERENCE,
        strength=None,
        seed=0,
        training=TrainingSpec(),
        evaluation=spec.evaluation,
        prompt_format=model.prompt_format,
        loading=model.loading,
        generation=spec.generation.of_references,
    )
    return PlannedCell(identity, model)


def usual_rate(spec: RunSpec, task: Task, choice: Choice, model: BaseModel) -> float:
    """The learning rate without a sweep: the run's, else the tuned one, the task's, or the method's.

    A task's rates are of its own models, if it has some. The method's depends on the model's size.
    """
    usual = default_rate(
        choice.method.default_learning_rate, model.width, adapters=spec.training.lora is not None
    )
    if model.name in task.spec.models or not task.spec.models:
        rates = {"*": usual, **task.spec.learning_rates}
        usual = rates.get(choice.spec.name, rates["*"])
    tuned = {} if spec.tuned is None else spec.tuned.rates
    return spec.training.learning_rate or tuned.get(tuned_key(choice.spec.label, model.name), usual)


def check_tuned(
    spec: RunSpec, task: Task, choices: Sequence[Choice], models: Sequence[BaseModel]
) -> list[str]:
    """Checks that tuned learning rates fit this run; returns warnings about missing ones.

    Raises:
        UserError: they were tuned on another task, or another setting gives the learning rate as well.
    """
    tuned = spec.tuned
    if tuned is None:
        return []
    if spec.training.learning_rate is not None or spec.learning_rates:
        raise UserError("--tuned sets the learning rates: leave out learning_rate and learning_rates.")
    if tuned.task != task.spec.name:
        raise UserError(f"The tuned file is for the task '{shown_name(tuned.task)}', not '{task.spec.name}'.")
    warnings = []
    if tuned.steps != spec.training.steps:
        warnings.append(
            f"The learning rates were tuned with {tuned.steps} steps; this run has {spec.training.steps}."
        )
    keys = [tuned_key(choice.spec.label, model.name) for model in models for choice in choices]
    if missing := [key for key in keys if key not in tuned.rates]:
        names, known = ", ".join(missing), ", ".join(sorted(tuned.rates))
        warnings.append(
            f"The tuned file has no entry for {names}, which use their usual learning rates. It has {known}."
        )
    return warnings


def planned_cells(
    spec: RunSpec, task: Task, task_hash: str, data: TrainingData, model: BaseModel, choice: Choice
) -> Iterator[PlannedCell]:
    """All cells of one method on one model: its strengths × learning rates × budgets × seeds."""
    swept = spec.learning_rates or (usual_rate(spec, task, choice, model),)
    online = choice.method.samples_policy
    reward = spec.training.reward if online else GOLD
    learnt = training_identity(reward, task, task_hash)
    world_hash = hash_json([learnt, new_tokens(spec, task)]) if online else None
    axes = (choice.strengths, swept, dict.fromkeys(spec.budgets), spec.seeds)
    for strength, learning_rate, budget, seed in itertools.product(*axes):
        training = {
            "learning_rate": learning_rate,
            "steps": spec.training.steps * budget,
            "reward": reward,
            "rollouts": spec.training.rollouts if online else "hf",
        }
        identity = CellSpec(
            task=task.spec.name,
            task_hash=task_hash,
            data=spec.data,
            data_hash=data.hash,
            world_hash=world_hash,
            model=model.name,
            model_path=str(model.path),
            model_hash=model.hash,
            method=choice.spec,
            strength=strength,
            seed=seed,
            training=spec.training.model_copy(update=training),
            evaluation=spec.evaluation,
            prompt_format=model.prompt_format,
            loading=model.loading,
            generation=spec.generation,
        )
        yield PlannedCell(identity, model, choice.method.with_strength(strength))
