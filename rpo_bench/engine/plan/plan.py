"""Turns a run's spec into cells, and refuses anything that can't work before work starts."""

import importlib.util
import itertools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from rpo_bench.data.convert import prompts_of
from rpo_bench.data.row import Prompt
from rpo_bench.engine.inputs.ad_hoc import ad_hoc_task
from rpo_bench.engine.inputs.base_models import BaseModel, Use, find_models
from rpo_bench.engine.inputs.choices import Choice, check_needs, choose
from rpo_bench.engine.inputs.critic_start import check_critic_start
from rpo_bench.engine.inputs.dataset import TrainingData, read_training_data, task_identity
from rpo_bench.engine.inputs.examples import (
    check_heldout,
    collected_warnings,
    examples_file,
    load_examples,
    make_examples,
    save_examples,
    tokenizer_of,
)
from rpo_bench.engine.inputs.heldout import fitting_task, shortened
from rpo_bench.engine.inputs.prompts import prompts_file, save_prompts
from rpo_bench.engine.inputs.rewards import (
    EVAL_FLAG,
    check_proxy,
    check_source,
    check_training_reward,
    try_evaluation_reward,
)
from rpo_bench.engine.inputs.rounds import check_sampling_rounds
from rpo_bench.engine.inputs.sampling_checks import check_backend, check_rollouts
from rpo_bench.engine.inputs.strengths import distinct_strengths
from rpo_bench.engine.inputs.tuning_prompts import for_tuning
from rpo_bench.engine.output import Identity
from rpo_bench.engine.plan.cells import PlannedCell, check_tuned, new_tokens, planned_cells, reference_cell
from rpo_bench.engine.plan.memory import check_memory
from rpo_bench.engine.plan.resources import Resources
from rpo_bench.errors import UserError
from rpo_bench.files.atomic import atomic_file
from rpo_bench.files.hashing import hash_json
from rpo_bench.metrics.toxicity.choose import toxicity_metric
from rpo_bench.spec.presets import AD_HOC
from rpo_bench.spec.schema import RunSpec
from rpo_bench.spec.sections import TrainingSpec
from rpo_bench.spec.trust import Trust
from rpo_bench.tasks.task import Task, load_task
from trainers.objective import Need
from trainers.settings import check_optimiser
from trainers.tracking import check_trackers

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PlanContext:
    """Settings of planning beyond the spec. None of them changes a result.

    Attributes:
        work: the folder for tokenised rows and tasks made from files.
        include_path: a folder of further tasks.
        trust: permissions for loading models.
        resources: what each cell gets of the machine.
    """

    work: Path
    include_path: Path | None = None
    trust: Trust = field(default_factory=Trust)
    resources: Resources = field(default_factory=Resources)


@dataclass(frozen=True)
class Plan:
    """All cells of a run with their inputs; ``data`` is keyed by model name."""

    spec: RunSpec
    task: Task
    data: Mapping[str, TrainingData]
    models: tuple[BaseModel, ...]
    choices: tuple[Choice, ...]
    cells: tuple[PlannedCell, ...]
    warnings: tuple[str, ...]
    context: PlanContext

    @property
    def identity(self) -> Identity:
        """Content hashes of the inputs named in the spec."""
        return Identity(
            task=self.task.spec.name,
            task_hash=self.cells[0].spec.task_hash,
            data={name: data.hash for name, data in self.data.items()},
            models={model.name: model.hash for model in self.models},
            formats={m.name: m.prompt_format.hash for m in self.models if m.prompt_format is not None},
        )


def plan_run(spec: RunSpec, context: PlanContext) -> Plan:
    """Plans every cell of a run and checks that it can be executed.

    Raises:
        UserError: an input or setting is unknown, missing, unusable or incompatible.
    """
    choices = choose(spec)
    check_trackers(spec.training.report_to)
    check_optimiser(spec.training.optim)
    _check_quantized(spec, choices)
    with collected_warnings() as warnings:
        check_evaluation(spec, context.trust)
        task, data, models = _materials(spec, context)
        if spec.evaluation.prompts == "tuning":
            task, data = for_tuning(task, data, context.work)
            limits = (new_tokens(spec, task), spec.data.long)
            task = fitting_task(task, models, *limits, (context.trust, context.work))
        check_proxy(task, context.trust)
        check_sampling_rounds(choices, spec)
        warnings += check_training_reward(choices, spec, task, context.trust)
        try_evaluation_reward(spec.evaluation, task, context.trust)
        _check_kept(spec, task)
        architectures = {model.name: model.architecture for model in models}
        check_backend(spec, architectures, trains=True)
        check_rollouts(spec, architectures, any(one.method.samples_policy for one in choices))
        for model in models:
            _check_adapters(spec.training, model, context.trust)
            check_memory(
                [one.method for one in choices],
                model.path,
                model.bytes,
                spec,
                context.resources.memory(),
                context.trust.trust_remote_code,
                context.resources.shares,
            )
            rows = data[model.name]
            warnings += check_needs(choices, rows.rows, rows.where)
            check_critic_start(choices, spec.training.reward, task, model, context.trust)
            _tokenise(spec, task, rows, model, context)
    warnings += check_tuned(spec, task, choices, models)
    warnings += [note] if (note := context.resources.note()) else []
    task_hash = task_identity(task, spec.evaluation)
    cells = [reference_cell(spec, task, task_hash, model) for model in models]
    for model, choice in itertools.product(models, choices):
        rows = data[model.name]
        own, notes = distinct_strengths(
            choice, partial(load_examples, examples_of(spec, rows, model, context))
        )
        warnings += notes
        cells += planned_cells(spec, task, task_hash, rows, model, own)
    return Plan(
        spec, task, data, tuple(models), tuple(choices), tuple(cells), tuple(dict.fromkeys(warnings)),
        context,
    )  # fmt: skip


def check_evaluation(spec: RunSpec, trust: Trust) -> None:
    """Checks the reward and the toxicity backend of the evaluation."""
    if spec.evaluation.reward is not None:
        check_source(spec.evaluation.reward, EVAL_FLAG, trust)
    if spec.evaluation.toxicity != "profanity":
        toxicity_metric(
            spec.evaluation.toxicity, trust.allow_pickle
        )  # loaded now, so that errors show before training
    elif importlib.util.find_spec("profanity_check") is None:
        log.warning(
            "Toxicity will be unscored: install its classifier with pip install 'rpo-bench[profanity]'."
        )


def _check_kept(spec: RunSpec, task: Task) -> None:
    """Refuses ``--keep-checkpoints`` where the task has no probe, or none to choose the best by."""
    keep = spec.training.keep_checkpoints
    if keep == "last":
        return
    if not task.probe:
        raise UserError(f"--keep-checkpoints {keep}: the task {task.spec.name} has no probe prompts.")
    if keep == "best" and spec.evaluation.reward is None and task.spec.reward is None:
        raise UserError("--keep-checkpoints best: the task has no reward: give --reward, or all.")


def _check_quantized(spec: RunSpec, choices: Sequence[Choice]) -> None:
    """Refuses to train quantised weights, which have no gradients."""
    if spec.loading.quantization is None:
        return
    flag = f"--quantization {spec.loading.quantization}"
    if spec.training.lora is None:
        raise UserError(f"{flag} needs adapters, as such weights can't be trained: add --lora-rank 16.")
    if spec.generation.backend != "hf":
        raise UserError(f"{flag}: only transformers samples such weights: leave out --generation-backend.")
    for choice in choices:
        if Need.VALUE in choice.method.needs:
            raise UserError(
                f"{flag}: {choice.method.name} trains a value network or critic that starts as a copy of the "
                "model, which can't be trained so: leave out the flag or the method."
            )


def _check_adapters(training: TrainingSpec, model: BaseModel, trust: Trust) -> None:
    """Checks that a model has the target layers of the adapters."""
    if training.lora is not None and training.lora.target_modules is not None:
        from rpo_bench.models.adapter_checks import check_targets

        check_targets(model.path, training.lora.target_modules, model.name, trust.trust_remote_code)


def own_models(task: Task) -> dict[str, Path]:
    """The task's own base models: name → folder."""
    return {name: task.folder / folder for name, folder in task.spec.models.items()}


def _materials(spec: RunSpec, around: PlanContext) -> tuple[Task, dict[str, TrainingData], list[BaseModel]]:
    """The task, the rows by model name, and the base models."""
    cache = around.work / "cache"
    if not spec.task.startswith(AD_HOC):
        task = load_task(spec.task, around.include_path)
        models = find_models(spec.models, own_models(task), around.trust, cache, Use.of(spec))
        rows = {model.name: read_training_data(spec, task, model.name) for model in models}
        limits = (new_tokens(spec, task), spec.data.long)
        return fitting_task(task, models, *limits, (around.trust, around.work)), rows, models
    models = find_models(spec.models, {}, around.trust, cache, Use.of(spec))
    task, data = ad_hoc_task(spec, models, around.trust, around.work)
    return task, dict.fromkeys((model.name for model in models), data), models


def examples_of(spec: RunSpec, data: TrainingData, model: BaseModel, around: PlanContext) -> Path:
    """The file with the tokenised rows of a model."""
    return examples_file(around.work / "cache", model.hash, data.hash, spec.data, model.prompt_format)


def _tokenise(spec: RunSpec, task: Task, data: TrainingData, model: BaseModel, around: PlanContext) -> None:
    """Tokenises a model's rows and checks that its prompts fit, unless done before."""
    file = examples_of(spec, data, model, around)
    limit = new_tokens(spec, task)
    key = [model.hash, task.hash, limit, model.context, model.response_limit]
    key += [] if model.prompt_format is None else [model.prompt_format.hash]
    fits = file.with_name(f"fits-{hash_json(key)[:32]}")
    if file.is_file() and fits.is_file() and prompts_file(file).is_file():
        return
    tokenizer = tokenizer_of(model, around.trust)
    check_heldout(task.heldout, model, tokenizer, limit, task.spec.name)
    prompts: Sequence[Prompt] = prompts_of(data.rows)
    if spec.data.long == "truncate":
        prompts = shortened(prompts, model, tokenizer, limit, "training")
    save_prompts(file, prompts)
    save_examples(file, make_examples(data, model, spec.data, tokenizer))
    with atomic_file(fits) as mark:
        mark.touch()
