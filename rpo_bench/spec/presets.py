"""Specs from layers: a preset, a file over it, flags over both."""

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

#: The part of a preset or config that says which paper it follows (engine/plan/paper.py); no part of a spec.
PAPER = "paper"
#: Settings of the training that nobody writes by hand and every run writes: a file with them is a run's.
_OF_WRITTEN_SPECS = frozenset({"weight_decay", "report_to", "micro_batch_size"})
#: How errors of settings begin.
WRONG = "The settings can't be used"
#: Fields that a higher layer replaces as a whole; the others are merged key by key.
_WHOLE = frozenset({"methods", "strengths", "decoding", "lora"})


def preset_names() -> list[str]:
    """The presets that come with the package."""
    folder = files("rpo_bench") / "presets"
    return sorted(file.name.removesuffix(".yaml") for file in folder.iterdir() if file.name.endswith(".yaml"))


def load_preset(name: str) -> dict[str, Any]:
    """A preset's part of a spec; raises UserError for an unknown name."""
    if name not in preset_names():
        name = shown_name(name)
        raise UserError(f"Unknown preset '{name}'.{did_you_mean(name, preset_names())}")
    text = (files("rpo_bench") / "presets" / f"{name}.yaml").read_text(encoding="utf-8")
    return dict(parse_yaml(text, f"The preset {name}"))


def load_config(file: Path) -> dict[str, Any]:
    """A user's spec file, whole or in part; raises UserError when it isn't one."""
    found = read_settings(file, f"--config {file}")
    if not isinstance(found, dict):
        raise UserError(f"--config {file} holds no settings: write e.g. 'seeds: [0, 1]'.")
    settings = {str(key): value for key, value in found.items()}
    training = settings.get("training")
    whole = isinstance(training, Mapping) and training.keys() >= _OF_WRITTEN_SPECS
    return dict(with_first_protocol(settings)) if whole else settings


def merged(layers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The layers as one, later ones over earlier ones; raises UserError for what no setting can be."""
    found = list(layers)
    for layer in found:
        check_plain(layer, WRONG)  # before anything walks through it
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
    check_plain(changes, WRONG)
    below = merged({k: v for k, v in layer.items() if k != PAPER} for layer in layers)
    top = {**changes, "task": _task(changes, below)}
    if "methods" in changes and "strengths" not in changes:  # those of methods that are gone
        names = {str(method.get("name")) for method in changes["methods"]} | {"*"}
        kept = {k: v for k, v in part_of(below, "strengths").items() if str(k).partition("(")[0] in names}
        top["strengths"] = kept
    settings = merged([below, top])
    if settings["task"].startswith(AD_HOC) and not any("models" in layer for layer in [*layers[1:], changes]):
        raise UserError(
            "--data needs --models FOLDER, the model to train: one that you have, or one made of the same "
            "file by 'rpo-bench base --data FILE --output-path FOLDER'."
        )
    return run_spec(settings, WRONG)


def with_decoding(changes: Mapping[str, Any], below: Mapping[str, Any]) -> dict[str, Any]:
    """Changes whose decoding may be the text of --gen-kwargs: read, over the decoding of the layers below."""
    evaluation = part_of(changes, "evaluation")
    text = evaluation.get("decoding")
    if not isinstance(text, str):
        return dict(changes)
    base = part_of(part_of(below, "evaluation"), "decoding")
    return {**changes, "evaluation": {**evaluation, "decoding": parse_decoding(text, dict(base))}}


def part_of(settings: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A part of settings that has parts of its own; raises UserError where it is something else."""
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
        UserError: names the first field that is wrong.
    """
    try:
        return RunSpec.model_validate(settings)
    except ValidationError as error:
        raise UserError(f"{where}: {first_error(error)}") from error


def first_error(error: ValidationError) -> str:
    """The first of a validation's complaints, with the field's dotted name and the value."""
    first = error.errors()[0]
    name = ".".join(map(shown_name, first["loc"]))
    if first["type"] == "extra_forbidden":
        known = _fields_at(first["loc"][:-1])
        return f"unknown setting '{name}'.{did_you_mean(str(first['loc'][-1]), known) if known else ''}"
    return f"{name} = {shown(first['input'])}: {first['msg'].removeprefix('Value error, ')}."


def _fields_at(place: Sequence[int | str]) -> Iterable[str]:
    """The settings that there are at a place of a spec; none where it can't be told."""
    model: Any = RunSpec
    for part in place:
        field = getattr(model, "model_fields", {}).get(part)
        kinds = [] if field is None else [field.annotation, *get_args(field.annotation)]
        model = next((kind for kind in kinds if hasattr(kind, "model_fields")), None)
    return () if model is None else model.model_fields


#: A run's task is called so when it is made of ``--data FILE``: ``data:<name>``.
AD_HOC = "data:"


def ad_hoc_name(file: str) -> str:
    """The task name of a user's file: ``data:`` and the file's name without its endings."""
    name = Path(file).name.removesuffix(".gz")
    stem = name.rpartition(".")[0] or name
    return AD_HOC + "".join(c if c.isalnum() or c in "._-" else "-" for c in stem)
