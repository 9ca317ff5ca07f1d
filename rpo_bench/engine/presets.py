"""Specs from layers: a preset, a file over it, flags over both."""

from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import ValidationError

from rpo_bench.engine.dataset import AD_HOC, ad_hoc_name
from rpo_bench.errors import UserError, did_you_mean
from rpo_bench.spec import RunSpec

#: The part of a preset or config that says which paper it follows (engine/paper.py); no part of a spec.
PAPER = "paper"
#: Fields that a higher layer replaces as a whole; the others are merged key by key.
_WHOLE = frozenset({"methods", "strengths", "decoding", "lora"})


def preset_names() -> list[str]:
    """The presets that come with the package."""
    folder = files("rpo_bench") / "presets"
    return sorted(file.name.removesuffix(".yaml") for file in folder.iterdir() if file.name.endswith(".yaml"))


def load_preset(name: str) -> dict[str, Any]:
    """A preset's part of a spec; raises UserError for an unknown name."""
    if name not in preset_names():
        raise UserError(f"Unknown preset '{name}'.{did_you_mean(name, preset_names())}")
    text = (files("rpo_bench") / "presets" / f"{name}.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))


def load_config(file: Path) -> dict[str, Any]:
    """A user's spec file, whole or in part; raises UserError when it isn't one."""
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"--config {file}: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"--config {file} is not YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(found, dict):
        raise UserError(f"--config {file} holds no settings: write e.g. 'seeds: [0, 1]'.")
    return {str(key): value for key, value in found.items()}


def merged(layers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The layers as one, later ones over earlier ones."""
    result: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            below = result.get(key)
            if isinstance(value, Mapping) and isinstance(below, Mapping) and key not in _WHOLE:
                result[key] = merged([below, value])
            else:
                result[key] = value
    return result


def layers_of(preset: str | None, config: Path | None) -> list[Mapping[str, Any]]:
    """The preset (``quick`` unless one is named) and, over it, the file."""
    return [load_preset(preset or "quick"), *([] if config is None else [load_config(config)])]


def spec_over(layers: Sequence[Mapping[str, Any]], changes: Mapping[str, Any]) -> RunSpec:
    """The spec that ``changes`` over a preset and a file over it ask for.

    Args:
        layers: the preset first; whatever is above it is a user's own.
        changes: fields of RunSpec.

    Raises:
        UserError: names the field that is wrong.
    """
    below = merged({k: v for k, v in layer.items() if k != PAPER} for layer in layers)
    top = {**changes, "task": _task(changes, below)}
    if "methods" in changes and "strengths" not in changes:  # those of methods that are gone
        names = {method["name"] for method in changes["methods"]} | {"*"}
        kept = {k: v for k, v in below.get("strengths", {}).items() if k.partition("(")[0] in names}
        top["strengths"] = kept
    settings = merged([below, top])
    if settings["task"].startswith(AD_HOC) and not any("models" in layer for layer in [*layers[1:], changes]):
        raise UserError(
            "--data needs --models FOLDER, the model to train: one that you have, or one made of the same "
            "file by 'rpo-bench base --data FILE --output-path FOLDER'."
        )
    return run_spec(settings, "The settings can't be used")


def _task(changes: Mapping[str, Any], below: Mapping[str, Any]) -> str:
    if changes.get("task") is not None:
        return str(changes["task"])
    own = changes.get("data", {}).get("file")
    file = own or below.get("data", {}).get("file")
    if file is not None and (own is not None or "task" not in below):
        return ad_hoc_name(str(file))
    return str(below.get("task", "civil_qa"))


def run_spec(settings: Mapping[str, Any], where: str) -> RunSpec:
    """A validated spec.

    Args:
        settings: all layers as one.
        where: the file or flags that errors name.

    Raises:
        UserError: names the first field that is wrong.
    """
    try:
        return RunSpec.model_validate(settings)
    except ValidationError as error:
        raise UserError(f"{where}: {first_error(error)}") from error


def first_error(error: ValidationError) -> str:
    """The first of a validation's complaints, with the field's dotted name and the value."""
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = _fields_at(first["loc"][:-1])
        return f"unknown setting '{name}'.{did_you_mean(str(first['loc'][-1]), known) if known else ''}"
    return f"{name} = {first['input']!r}: {first['msg']}."


def _fields_at(place: Sequence[int | str]) -> Iterable[str]:
    """The settings that there are at a place of a spec; none where it can't be told."""
    model: Any = RunSpec
    for part in place:
        field = getattr(model, "model_fields", {}).get(part)
        kinds = [] if field is None else [field.annotation, *get_args(field.annotation)]
        model = next((kind for kind in kinds if hasattr(kind, "model_fields")), None)
    return () if model is None else model.model_fields
