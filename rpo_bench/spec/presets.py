"""Builds specs from layers: a preset, a config file over it, and flags over both."""

from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from rpo_bench.errors import UserError, did_you_mean
from rpo_bench.files.plain_data import check_plain, shown, shown_name
from rpo_bench.files.settings_text import parse_yaml, read_settings
from rpo_bench.spec.parsing import parse_decoding
from rpo_bench.spec.schema import RunSpec, with_first_protocol

#: The section of a preset or config about its paper (engine/plan/paper.py); not part of a spec.
PAPER = "paper"
#: Training settings that users rarely write but every run does; a file with them was written by a run.
_OF_WRITTEN_SPECS = frozenset({"weight_decay", "report_to", "micro_batch_size"})
#: The beginning of error messages about settings.
WRONG = "The settings can't be used"
#: Fields that a higher layer replaces as a whole; other fields are merged key by key.
_WHOLE = frozenset({"methods", "strengths", "decoding", "lora"})


def preset_names() -> list[str]:
    """The names of the built-in presets."""
    folder = files("rpo_bench") / "presets"
    return sorted(file.name.removesuffix(".yaml") for file in folder.iterdir() if file.name.endswith(".yaml"))


def load_preset(name: str) -> dict[str, Any]:
    """Loads a preset; raises UserError for an unknown name."""
    if name not in preset_names():
        name = shown_name(name)
        raise UserError(f"Unknown preset '{name}'.{did_you_mean(name, preset_names())}")
    text = (files("rpo_bench") / "presets" / f"{name}.yaml").read_text(encoding="utf-8")
    return dict(parse_yaml(text, f"The preset {name}"))


def load_config(file: Path) -> dict[str, Any]:
    """Loads a full or partial spec file; raises UserError when it is invalid."""
    found = read_settings(file, f"--config {file}")
    if not isinstance(found, dict):
        raise UserError(f"--config {file} holds no settings: write e.g. 'seeds: [0, 1]'.")
    settings = {str(key): value for key, value in found.items()}
    training = settings.get("training")
    whole = isinstance(training, Mapping) and training.keys() >= _OF_WRITTEN_SPECS
    return dict(with_first_protocol(settings)) if whole else settings


def merged(layers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Merges layers, later over earlier ones; raises UserError for invalid values."""
    found = list(layers)
    for layer in found:
        check_plain(layer, WRONG)  # before traversing it
    return _over(found)


def _over(layers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            if isinstance(value, Mapping) and key not in _WHOLE:
                result[key] = _over([part_of(result, key), value])
            else:
                result[key] = value
    return result


def layers_of(
    preset: str | None, config: Path | None, defaults: Mapping[str, Any] | None = None
) -> list[Mapping[str, Any]]:
    """The preset (``quick`` by default) with a command's own defaults over it, and the file over both."""
    own = merged([load_preset(preset or "quick"), defaults or {}])
    return [own, *([] if config is None else [load_config(config)])]


def spec_over(layers: Sequence[Mapping[str, Any]], changes: Mapping[str, Any]) -> RunSpec:
    """The spec of ``changes`` over the layers.

    Args:
        layers: the preset first, then the user's layers.
        changes: fields of RunSpec.

    Raises:
        UserError: a field is invalid; the message names it.
    """
    check_plain(changes, WRONG)
    below = merged({k: v for k, v in layer.items() if k != PAPER} for layer in layers)
    top = {**changes, "task": _task(changes, below)}
    if "methods" in changes and "strengths" not in changes:  # drops strengths of removed methods
        names = {str(method.get("name")) for method in changes["methods"]} | {"*"}
        kept = {k: v for k, v in part_of(below, "strengths").items() if str(k).partition("(")[0] in names}
        top["strengths"] = kept
    settings = merged([below, top])
    if settings["task"].startswith(AD_HOC) and not any("models" in layer for layer in [*layers[1:], changes]):
        raise UserError(
            "--data needs --models FOLDER, the model to train: an existing one, or one trained on the same "
            "file with 'rpo-bench base --data FILE --output-path FOLDER'."
        )
    return run_spec(settings, WRONG)


def with_decoding(changes: Mapping[str, Any], below: Mapping[str, Any]) -> dict[str, Any]:
    """Parses the text of --gen-kwargs in the changes, over the decoding of lower layers."""
    evaluation = part_of(changes, "evaluation")
    text = evaluation.get("decoding")
    if not isinstance(text, str):
        return dict(changes)
    base = part_of(part_of(below, "evaluation"), "decoding")
    return {**changes, "evaluation": {**evaluation, "decoding": parse_decoding(text, dict(base))}}


def part_of(settings: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A nested part of settings; raises UserError if it isn't a mapping."""
    found = settings.get(name)
    if found is not None and not isinstance(found, Mapping):
        raise UserError(f"{WRONG}: {name} = {shown(found)}: write settings by name, such as {{name: value}}.")
    return found or {}


def _task(changes: Mapping[str, Any], below: Mapping[str, Any]) -> str:
    if changes.get("task") is not None:
        return str(changes["task"])
    own = part_of(changes, "data").get("file")
    file = own or part_of(below, "data").get("file")
    if file is not None and (own is not None or "task" not in below):
        return ad_hoc_name(str(file))
    return str(below.get("task", "civil_qa"))


def run_spec(settings: Mapping[str, Any], where: str) -> RunSpec:
    """A validated spec.

    Args:
        settings: all layers as one.
        where: the file or flags that errors name.

    Raises:
        UserError: a field is invalid; the message names the first one.
    """
    try:
        return RunSpec.model_validate(settings)
    except ValidationError as error:
        raise UserError(f"{where}: {first_error(error)}") from error


def first_error(error: ValidationError) -> str:
    """The first validation error with the field's dotted name and value."""
    first = error.errors()[0]
    name = ".".join(map(shown_name, first["loc"]))
    if first["type"] == "extra_forbidden":
        known = _fields_at(first["loc"][:-1])
        return f"unknown setting '{name}'.{did_you_mean(str(first['loc'][-1]), known) if known else ''}"
    return f"{name} = {shown(first['input'])}: {first['msg'].removeprefix('Value error, ')}."


def _fields_at(place: Sequence[int | str]) -> Iterable[str]:
    """The valid settings at a place of a spec; empty if unknown."""
    model: Any = RunSpec
    for part in place:
        field = getattr(model, "model_fields", {}).get(part)
        kinds = [] if field is None else [field.annotation, *get_args(field.annotation)]
        model = next((kind for kind in kinds if hasattr(kind, "model_fields")), None)
    return () if model is None else model.model_fields


#: The prefix of task names made from ``--data FILE``: ``data:<name>``.
AD_HOC = "data:"


def ad_hoc_name(file: str) -> str:
    """The task name of a user's file: ``data:`` and the file's name without suffixes."""
    name = Path(file).name.removesuffix(".gz")
    stem = name.rpartition(".")[0] or name
    return AD_HOC + "".join(c if c.isalnum() or c in "._-" else "-" for c in stem)
