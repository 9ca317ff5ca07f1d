"""Toxicity by Detoxify (Hanu and Unitary team, 2020): published models or a checkpoint file.

The package builds the model from the checkpoint. Batching, sorting by length and the context limit are the
same as for all other classifiers. The score is its label "toxicity".
"""

import os
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from rpo_bench.errors import UserError, did_you_mean, first_line
from rpo_bench.files.hashing import hash_file
from rpo_bench.metrics.toxicity.classifier import Classifier, ClassifierParts
from rpo_bench.models.quiet import quiet
from trainers.device import process_device

LABEL = "toxicity"

# Detoxify itself renames the labels of older checkpoints.
_RENAMED = {"toxic": LABEL}
_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")


def detoxify(name: str, allow_pickle: bool = False) -> Classifier:
    """The classifier ``VARIANT`` (original, unbiased, multilingual or a small form) or ``FILE``.

    Raises:
        UserError: The package, weights, configuration or tokenizer are missing or invalid.
    """
    what = f"--toxicity detoxify:{name}"
    if find_spec("detoxify") is None:
        raise UserError(f"{what}: Detoxify isn't installed: pip install 'rpo-bench[detoxify]'.")
    file = _weights(name, what)
    loaded = _checkpoint(file, what, allow_pickle)
    arch = _with_local_model(loaded.arch, file)
    model, tokenizer = _built(arch, loaded.state, what)
    absent = sorted(_names(model) - loaded.state.keys())
    if absent:
        raise UserError(f"{what}: the checkpoint is incomplete: its weights lack {absent[0]}.")
    device = process_device()
    parts = ClassifierParts(model.to(device).eval(), tokenizer, loaded.label, "sigmoid")
    shown = name if name in _variants() else file.name
    content = f"{hash_file(file)[:8]}, {parts.activation}"
    return Classifier(parts, f"Detoxify {version('detoxify')} {shown}#{LABEL} ({content})")


@dataclass(frozen=True)
class _Checkpoint:
    arch: dict[str, Any]
    state: dict[str, Any]
    label: int


def _variants() -> dict[str, str]:
    """Detoxify's published models: name → URL of the weights."""
    from detoxify.detoxify import MODEL_URLS

    return dict(MODEL_URLS)


def _weights(name: str, what: str) -> Path:
    """The checkpoint file: as given, or the local copy of a published one, downloaded if missing."""
    path, variants = Path(name).expanduser(), _variants()
    if name not in variants:
        if path.is_file():
            return path
        if path.is_dir():
            raise UserError(f"{what}: this is a folder: give the checkpoint file in it.")
        raise UserError(f"{what}: there is no such file or variant.{did_you_mean(name, variants)}")
    file = Path(torch.hub.get_dir()) / "checkpoints" / variants[name].rpartition("/")[2]
    if file.is_file():
        return file
    advice = f"download {variants[name]} elsewhere and put it into {file.parent}, or give detoxify:FILE"
    if any(os.environ.get(flag, "") not in ("", "0") for flag in _OFFLINE):
        raise UserError(
            f"{what}: its weights aren't on this machine, and it is set to offline mode: {advice}."
        )
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(variants[name], str(file), progress=False)
    except OSError as error:
        raise UserError(f"{what}: its weights can't be downloaded ({error}): {advice}.") from error
    return file


def _checkpoint(file: Path, what: str, allow_pickle: bool) -> _Checkpoint:
    """Reads a checkpoint; anything but tensors and plain values is refused unless allowed."""
    try:
        loaded = torch.load(file, map_location="cpu", weights_only=not allow_pickle)
    except Exception as error:
        if "weights_only" in str(error).lower() or "Unsupported global" in str(error):
            raise UserError(
                f"{what}: {file} contains more than weights and plain values, and unpickling can run any "
                "code in it: give --allow-pickle if you trust its author."
            ) from error
        first = first_line(error)
        raise UserError(f"{what}: {file} is no checkpoint: {first}.") from error
    try:
        arch, state = dict(loaded["config"]["arch"]["args"]), dict(loaded["state_dict"])
        classes = [_RENAMED.get(name, name) for name in loaded["config"]["dataset"]["args"]["classes"]]
        missing = {"model_type", "model_name", "tokenizer_name", "num_classes"} - arch.keys()
        if missing:
            raise KeyError(sorted(missing)[0])
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise UserError(
            f"{what}: {file} is no checkpoint of Detoxify: it has no {error} where 'config' (arch, dataset) "
            "and 'state_dict' are kept."
        ) from error
    if LABEL not in classes:
        raise UserError(f"{what}: {file} has no class '{LABEL}' or 'toxic', only {', '.join(classes)}.")
    return _Checkpoint(arch, state, classes.index(LABEL))


def _with_local_model(arch: dict[str, Any], file: Path) -> dict[str, Any]:
    """The architecture with ``model_type`` replaced by a folder next to the checkpoint, if there is one.

    ``model_type`` is the source of configuration and tokenizer: a hub model in published checkpoints.
    """
    name = str(arch["model_type"])
    beside = (file.parent / name, file.parent / Path(name).name)
    local = next((folder for folder in beside if (folder / "config.json").is_file()), None)
    return arch if Path(name).is_dir() or local is None else {**arch, "model_type": str(local)}


def _built(arch: dict[str, Any], state: dict[str, Any], what: str) -> tuple[Any, Any]:
    """Detoxify's own model and tokenizer."""
    from detoxify.detoxify import get_model_and_tokenizer

    source = arch["model_type"]
    try:
        with quiet():
            model, tokenizer = get_model_and_tokenizer(**arch, state_dict=state)
    except Exception as error:
        first = first_line(error)
        if not Path(source).is_dir():
            raise UserError(
                f"{what}: the checkpoint needs configuration and tokenizer of '{source}', which is no "
                f"folder here and can't be loaded from the hub ({first}): put them into a folder of that "
                "name next to the checkpoint."
            ) from error
        raise UserError(
            f"{what}: no model can be built from the checkpoint and {source}: {first}."
        ) from error
    return model, tokenizer


def _names(model: Any) -> set[str]:
    """The names of the model's weights, without buffers such as position ids."""
    return {name for name, _ in model.named_parameters()}
