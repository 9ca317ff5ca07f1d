"""Plans an evaluation: finished checkpoints, each with its reference model."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rpo_bench.engine.inputs.base_models import BaseModel, Use, find_model
from rpo_bench.engine.inputs.dataset import task_identity
from rpo_bench.engine.inputs.examples import check_heldout, collected_warnings, tokenizer_of
from rpo_bench.engine.inputs.heldout import fitting_task
from rpo_bench.engine.inputs.rewards import check_proxy, try_evaluation_reward
from rpo_bench.engine.inputs.sampling_checks import check_address, check_backend
from rpo_bench.engine.output import read_yaml
from rpo_bench.engine.plan.cells import PlannedCell, new_tokens, reference_cell
from rpo_bench.engine.plan.plan import Plan, PlanContext, check_evaluation, own_models
from rpo_bench.errors import UserError
from rpo_bench.files.hashing import hash_file, hash_folder
from rpo_bench.methods.registry import resolve_method
from rpo_bench.models.folder import check_adapter_folder, check_model_folder, has_tokenizer, is_adapter
from rpo_bench.models.hub import is_hub_name, model_folder, shown_name
from rpo_bench.spec.schema import CellSpec, RunSpec
from rpo_bench.spec.sections import GenerationSpec, MethodSpec, PromptFormat
from rpo_bench.tasks.task import Task, load_task


@dataclass(frozen=True)
class Finished:
    """Finished checkpoints to measure.

    Attributes:
        checkpoints: their folders or hub names.
        reference: the value of ``--reference``, or None.
    """

    checkpoints: tuple[Path, ...]
    reference: str | None


def plan_evaluation(spec: RunSpec, finished: Finished, around: PlanContext) -> Plan:
    """Plans the evaluation of finished checkpoints and of their base models.

    Raises:
        UserError: a checkpoint, its reference or the task can't be used.
    """
    if spec.evaluation.prompts != "test":
        raise UserError(
            "Finished checkpoints are measured on the task's held-out prompts: leave out --eval-prompts, and "
            "give an --output-path without a tuning."
        )
    check_address(spec.generation)
    check_evaluation(spec, around.trust)
    task = load_task(spec.task, around.include_path)
    check_proxy(task, around.trust)
    try_evaluation_reward(spec.evaluation, task, around.trust)
    found: list[tuple[Path, CellSpec | None, BaseModel]] = []
    warnings: list[str] = []
    for given in finished.checkpoints:
        checkpoint = _folder(given)
        check_checkpoint(checkpoint, around)
        origin = own_spec(checkpoint)
        name = finished.reference or _reference_name(checkpoint, origin, task, warnings)
        use = replace(Use.of(spec), flag=_named_by(checkpoint, finished.reference))
        kept = None if origin is None or spec.prompt_format is not None else origin
        if kept is not None:  # as it was trained
            use = replace(use, prompt_format="none")
        model = find_model(name, own_models(task), around.trust, around.work / "cache", use)
        if kept is not None:
            model = replace(model, prompt_format=kept.prompt_format)
        _check_tokens(checkpoint, model, around)
        found.append((checkpoint, origin, model))
    models: dict[tuple[str, PromptFormat | None], BaseModel] = {}
    for _, _, model in found:
        models.setdefault((model.hash, model.prompt_format), model)
    task = _fitting(task, tuple(models.values()), spec, around, warnings)
    task_hash = task_identity(task, spec.evaluation)
    cells = [
        _cell(checkpoint, origin, reference_cell(spec, task, task_hash, model), spec.generation)
        for checkpoint, origin, model in found
    ]
    check_backend(spec, {model.name: model.architecture for model in models.values()}, trains=False)
    references = [reference_cell(spec, task, task_hash, model) for model in models.values()]
    distinct = {cell.spec.hash: cell for cell in [*references, *cells]}
    return Plan(spec, task, {}, tuple(models.values()), (), tuple(distinct.values()), tuple(warnings), around)


def _folder(given: Path) -> Path:
    """The checkpoint's folder, or the local copy of the model ``ORG/NAME[@REVISION]`` of the hub."""
    if given.exists() or not is_hub_name(str(given).partition("@")[0]):
        return given
    return model_folder(str(given), str(given)).folder


def _named_by(checkpoint: Path, reference: str | None) -> str:
    """The source of the base model's name, for messages."""
    if reference is None and is_adapter(checkpoint):
        return f"The adapter in {checkpoint} was trained on"
    return "--reference"


def check_checkpoint(folder: Path, around: PlanContext) -> None:
    """Checks that a checkpoint is complete and a language model; raises UserError otherwise."""
    if is_adapter(folder):
        check_adapter_folder(folder, around.trust.allow_pickle)
    else:
        check_model_folder(folder, around.trust.allow_pickle)
        from rpo_bench.models.loading import load_config

        load_config(str(folder), around.trust.trust_remote_code)


def own_spec(checkpoint: Path) -> CellSpec | None:
    """The identity of a checkpoint made by ``train`` or ``train-and-eval``; None for others."""
    folder = checkpoint.resolve().parent
    if checkpoint.resolve().name != "checkpoint" or not (folder / "fit.json").is_file():
        return None
    try:
        return CellSpec.model_validate(read_yaml(folder / "spec.yaml"))
    except (ValidationError, UserError):
        return None


def _cell(
    checkpoint: Path, origin: CellSpec | None, reference: PlannedCell, generation: GenerationSpec
) -> PlannedCell:
    """The checkpoint's cell, named by its method or, if unknown, by its folder."""
    base = reference.spec
    if (
        origin is not None
        and origin.model_hash == base.model_hash
        and origin.prompt_format == base.prompt_format
    ):
        kept = {
            "task": base.task,
            "task_hash": base.task_hash,
            "evaluation": base.evaluation,
            "loading": base.loading,
            "generation": generation,
        }
        spec = origin.model_copy(update={**kept, "model_path": base.model_path, "model": base.model})
        method = resolve_method(spec.method, spec.strength)
        return PlannedCell(spec, reference.model, method, checkpoint.resolve())
    resolved = checkpoint.resolve()
    own = shown_name(resolved).rpartition("/")[2].partition("@")[0]  # of one from the hub without its commit
    name = resolved.parent.name if resolved.name == "checkpoint" else own
    identity = MethodSpec(name=name, source=hash_folder(checkpoint)[:16])
    spec = base.model_copy(update={"method": identity, "strength": 0.0, "generation": generation})
    return PlannedCell(spec, reference.model, checkpoint=resolved)


def _reference_name(checkpoint: Path, origin: CellSpec | None, task: Task, warnings: list[str]) -> str:
    """The default reference of a checkpoint."""
    if origin is not None:
        known = own_models(task)
        return origin.model if origin.model in known else origin.model_path
    if is_adapter(checkpoint):
        return check_adapter_folder(checkpoint, allow_pickle=True)
    same = [name for name, folder in own_models(task).items() if _tokenizer(folder) == _tokenizer(checkpoint)]
    same = [name for name in same if _kind(own_models(task)[name]) == _kind(checkpoint)]
    if len(same) != 1:
        raise UserError(
            f"{checkpoint}: set --reference to the base model it was trained from. KL is measured against it."
        )
    warnings.append(
        f"{checkpoint} is measured against '{same[0]}', the task's model with the same tokenizer."
    )
    return same[0]


def _tokenizer(folder: Path) -> str:
    file = folder / "tokenizer.json"
    return hash_file(file) if file.is_file() else str(folder)


def _kind(folder: Path) -> Any:
    """Whether a model folder's config says encoder-decoder; None without a config."""
    file = folder / "config.json"
    return read_yaml(file).get("is_encoder_decoder", False) if file.is_file() else None


def _fitting(
    task: Task, models: tuple[BaseModel, ...], spec: RunSpec, around: PlanContext, warnings: list[str]
) -> Task:
    """The task with only prompts that fit the models; raises UserError where none fits."""
    limit = new_tokens(spec, task)
    with collected_warnings() as said:
        task = fitting_task(task, models, limit, spec.data.long, (around.trust, around.work))
        for model in models:
            check_heldout(task.heldout, model, tokenizer_of(model, around.trust), limit, task.spec.name)
    warnings += said
    return task


def _check_tokens(checkpoint: Path, model: BaseModel, around: PlanContext) -> None:
    """Checks that both have the same tokenizer and that an adapter fits its base model."""
    from rpo_bench.models.loading import load_tokenizer

    trust = around.trust.trust_remote_code
    theirs = load_tokenizer(str(model.path), trust)
    ours = load_tokenizer(str(_tokenizer_folder(checkpoint, model, around)), trust)
    if ours.get_vocab() != theirs.get_vocab():
        raise UserError(
            f"{checkpoint} and its reference {model.path} have different tokenizers: KL is measured on the "
            "sampled tokens, so both need the same one. Give the right reference with --reference."
        )


def _tokenizer_folder(checkpoint: Path, model: BaseModel, around: PlanContext) -> Path:
    """The folder with the checkpoint's tokenizer: for many adapters, that of the base model."""
    if not is_adapter(checkpoint):
        return checkpoint
    from rpo_bench.models.adapter_checks import adapter_base, check_adapter_fits

    base = adapter_base(checkpoint, around.trust.allow_pickle)
    folder = model.path
    if base not in (model.hub, str(model.path)):
        folder = model_folder(base, f"The adapter in {checkpoint} was trained on {base}").folder
    check_adapter_fits(checkpoint, folder, around.trust.trust_remote_code)
    return checkpoint if has_tokenizer(checkpoint) else folder
