"""From flags, a spec file and a preset to the spec of a run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rpo_bench.cli.parsing import parse_methods, parse_seeds, parse_strengths, parse_sweep, split_list
from rpo_bench.cli.run_flags import DataFlags, EvaluationFlags, TrainingFlags
from rpo_bench.engine.dataset import AD_HOC, ad_hoc_name
from rpo_bench.engine.presets import load_config, load_preset, merged, run_spec
from rpo_bench.errors import UserError
from rpo_bench.spec import RunSpec


def build_spec(
    layers: Sequence[Mapping[str, Any]],
    matrix: Mapping[str, str | None],
    data: DataFlags,
    training: TrainingFlags,
    evaluation: EvaluationFlags,
) -> RunSpec:
    """The spec that flags over ``layers`` ask for.

    Args:
        layers: a preset, and a file over it.
        matrix: the text of --methods, --strengths, --seeds, --models and --sweep, where given.
        data: flags.
        training: flags.
        evaluation: flags.

    Raises:
        UserError: names the flag or field that is wrong.
    """
    below = merged(layers)
    decoding = below.get("evaluation", {}).get("decoding", {})
    if matrix.get("sweep") is not None and training.learning_rate is not None:
        raise UserError("--sweep and --learning-rate both say which learning rate: give one of them.")
    flags: dict[str, Any] = {
        "data": data.changes(),
        "training": training.changes(),
        "evaluation": evaluation.changes(decoding),
        **_matrix(matrix, below),
        **_task(data, below),
    }
    settings = merged([below, flags])
    if settings["task"].startswith(AD_HOC) and matrix.get("models") is None and not _names_models(layers):
        raise UserError(
            "--data needs --models FOLDER, the model to train: one that you have, or one made of the same "
            "file by 'rpo-bench base --data FILE --out FOLDER'."
        )
    return run_spec(settings, "The settings can't be used")


def layers_of(preset: str | None, config: Path | None) -> list[Mapping[str, Any]]:
    """The preset (``quick`` unless one is named) and, over it, the file."""
    return [load_preset(preset or "quick"), *([] if config is None else [load_config(config)])]


def _matrix(matrix: Mapping[str, str | None], below: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if (methods := matrix.get("methods")) is not None:
        found["methods"] = [method.model_dump() for method in parse_methods(methods)]
        names = {method["name"] for method in found["methods"]} | {"*"}
        kept = {k: v for k, v in below.get("strengths", {}).items() if k.partition("(")[0] in names}
        found["strengths"] = kept
    if (strengths := matrix.get("strengths")) is not None:
        found["strengths"] = parse_strengths(strengths)
    if (seeds := matrix.get("seeds")) is not None:
        found["seeds"] = parse_seeds(seeds)
    if (sweep := matrix.get("sweep")) is not None:
        found["learning_rates"] = parse_sweep(sweep)
    if (models := matrix.get("models")) is not None:
        found["models"] = split_list(models)
    return found


def _task(data: DataFlags, below: Mapping[str, Any]) -> dict[str, str]:
    if data.task is not None:
        if "," in data.task:
            raise UserError(f"--task {data.task}: one task per run; run the command once for each.")
        return {"task": data.task}
    file = data.data or below.get("data", {}).get("file")
    if file is not None and (data.data is not None or "task" not in below):
        return {"task": ad_hoc_name(str(file))}
    return {"task": str(below.get("task", "civil_qa"))}


def _names_models(layers: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a user's own file says which models."""
    return any("models" in layer for layer in layers[1:])
