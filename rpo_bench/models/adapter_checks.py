"""Checks on LoRA adapters: their base model, and whether the weights fit it."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from rpo_bench.errors import UserError, did_you_mean, first_line
from rpo_bench.files.plain_data import shown
from rpo_bench.models.folder import ADAPTER_WEIGHTS, check_adapter_folder
from rpo_bench.models.quiet import quiet

Shapes = dict[str, tuple[int, ...]]


def adapter_base(folder: Path, allow_pickle: bool) -> str:
    """The base model that an adapter was trained on: a folder, or a name on the hub.

    Raises:
        UserError: The adapter is incomplete, or the base model's folder is missing.
    """
    name = check_adapter_folder(folder, allow_pickle)
    beside = folder / name
    found = str(beside) if not Path(name).exists() and beside.is_dir() else name
    if Path(found).is_absolute() and not Path(found).exists():
        raise UserError(
            f"The adapter in {folder} was trained on {name}, which doesn't exist: "
            "correct base_model_name_or_path in adapter_config.json."
        )
    return found


def check_adapter_fits(folder: Path, base: Path, trust_remote_code: bool = False) -> None:
    """Checks an adapter's weight shapes against its base model, without loading either.

    Args:
        folder: The adapter's folder.
        base: The base model's folder.
        trust_remote_code: Whether code in the base model's folder may run.

    Raises:
        UserError: It adapts layers that are missing in the base model, or have another size.
    """
    weights = folder / ADAPTER_WEIGHTS
    if not weights.is_file():
        return  # pickled: peft checks it when loading
    try:
        with quiet(), warnings.catch_warnings(), torch.device("meta"):
            warnings.simplefilter("ignore")
            wanted = _wanted(folder, base, trust_remote_code)
    except Exception as error:  # such as peft's error for missing target modules
        raise UserError(_unfit(folder, base, first_line(error).partition(". ")[0])) from error
    stored = _shapes(weights)
    if not stored.keys() & wanted.keys():
        raise UserError(_unfit(folder, base, f"it has no layer for {min(stored, default='its weights')}"))
    for name in sorted(stored.keys() & wanted.keys()):
        if stored[name] != wanted[name]:
            shapes = f"{name} is {_by(stored[name])} there and {_by(wanted[name])} on this model"
            raise UserError(_unfit(folder, base, shapes))


def check_targets(base: Path, targets: Sequence[str], name: str, trust_remote_code: bool = False) -> None:
    """Checks that a model has the target layers for adapters, without loading its weights.

    Args:
        base: The model's folder.
        targets: ``target_modules``, each a layer's name or the end of it.
        name: The model's name in results.
        trust_remote_code: Whether code in the folder may run.

    Raises:
        UserError: No layer has that name, or it doesn't support adapters.
    """
    from peft import LoraConfig, get_peft_model

    with quiet(), warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore")
        model = _empty(base, trust_remote_code)
        modules = dict(model.named_modules())
        known = {
            where.rpartition(".")[2]
            for where, module in modules.items()
            if isinstance(module, torch.nn.Linear)
        }
        for target in targets:
            if not any(where == target or where.endswith(f".{target}") for where in modules):
                raise UserError(
                    f"training.lora.target_modules: {name} has no layer {shown(target)}."
                    f"{did_you_mean(target, known)}"
                )
        try:
            get_peft_model(model, LoraConfig(target_modules=list(targets)))
        except ValueError as error:  # peft has no adapter for this kind of layer
            why = first_line(error).partition(". ")[0]
            raise UserError(f"training.lora.target_modules: {name}: {why}.") from error


def _wanted(folder: Path, base: Path, trust: bool) -> Shapes:
    """The weight shapes that the adapter's config implies for the base model; uses no memory."""
    from peft import PeftConfig, get_peft_model, get_peft_model_state_dict

    adapted = get_peft_model(_empty(base, trust), PeftConfig.from_pretrained(str(folder)))
    state = get_peft_model_state_dict(adapted, save_embedding_layers=False)
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def _empty(base: Path, trust: bool) -> Any:
    """A model built from its config without weights."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

    config = AutoConfig.from_pretrained(str(base), trust_remote_code=trust)
    auto: Any = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    return auto.from_config(config, trust_remote_code=trust)


def _shapes(weights: Path) -> Shapes:
    from safetensors import safe_open

    with safe_open(weights, framework="pt") as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118


def _unfit(folder: Path, base: Path, why: str) -> str:
    return (
        f"The adapter in {folder} doesn't fit {base}: {why}; set base_model_name_or_path in "
        "adapter_config.json to the model it was trained on."
    )


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
