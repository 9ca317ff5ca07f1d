"""A run's settings as Python gives them, and the fields of its spec that they set."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from rpo_bench.errors import UserError
from rpo_bench.files.plain_data import shown
from rpo_bench.spec.parsing import method_settings
from rpo_bench.spec.sections import MethodSpec


class SpecSettings(TypedDict, total=False):
    """Fields of a run's spec; each overrides the preset and the config.

    Attributes:
        task: a task by name or folder.
        data: fields of DataSpec, such as ``{"file": "my.jsonl"}``; a plain string is the file.
        models: names of the task's own models, or folders.
        methods: ``"sft,rpo(tau=0.3)"``, or a list of such texts, mappings and MethodSpecs.
        strengths: ``{"rpo": [0.3, 1], "*": [0.1]}``.
        n_strengths: number of a method's own strengths to run.
        kl_budgets: KL budgets in nats; further strengths of every method are placed near them.
        placed: maximum number of further strengths per method.
        budgets: multiples of the training steps; every cell is trained with each.
        seeds: training seeds.
        learning_rates: a sweep; every cell is trained with each.
        tuned: the file from ``tune``, with a learning rate for each method.
        training: fields of TrainingSpec.
        evaluation: fields of EvaluationSpec.
        prompt_format: ``none``, ``chat``, a .jinja chat template or a text file with {prompt} in it.
        system_prompt: the system prompt of a chat format.
        loading: fields of LoadingSpec.
        generation: fields of GenerationSpec.
    """

    task: str
    data: str | Path | Mapping[str, Any]
    models: str | Path | Sequence[str | Path]
    methods: "str | Sequence[str | Mapping[str, Any] | MethodSpec]"
    strengths: Mapping[str, Sequence[float]]
    n_strengths: int | None
    kl_budgets: Sequence[float]
    placed: int
    budgets: Sequence[int]
    seeds: int | Sequence[int]
    learning_rates: Sequence[float]
    tuned: str | Path
    training: Mapping[str, Any]
    evaluation: Mapping[str, Any]
    prompt_format: str
    system_prompt: str
    loading: Mapping[str, Any]
    generation: Mapping[str, Any]


def spec_fields(settings: SpecSettings) -> dict[str, Any]:
    """The fields in the form of a spec file."""
    changes: dict[str, Any] = {name: value for name, value in settings.items() if value is not None}
    if "methods" in changes:
        changes["methods"] = _methods(changes["methods"])
    if isinstance(changes.get("data"), str | Path):
        changes["data"] = {"file": str(changes["data"])}
    if "models" in changes:
        models = changes["models"]
        several = models if isinstance(models, list | tuple) else [models]
        changes["models"] = [str(one) if isinstance(one, Path) else one for one in several]
    if isinstance(changes.get("seeds"), int):
        changes["seeds"] = [changes["seeds"]]
    return changes


def _methods(given: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for one in given if isinstance(given, list | tuple) else [given]:
        if isinstance(one, str):
            found += method_settings(one)
        elif isinstance(one, MethodSpec):
            found.append(one.model_dump())
        elif isinstance(one, Mapping):
            found.append(dict(one))
        else:
            raise UserError(
                f"methods: {shown(one)} isn't a method: give texts such as 'rpo(tau=0.3)', or mappings such "
                "as {'name': 'rpo', 'options': {'tau': 0.3}}."
            )
    return found
