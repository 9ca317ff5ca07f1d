"""Checks that a checkpoint folder is complete before loading it."""

import json
from pathlib import Path
from typing import Any

from rpo_bench.errors import UserError
from rpo_bench.files.reading import read_text
from rpo_bench.wording import listed

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
_SAFE = ("model.safetensors", "model.safetensors.index.json")
_PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json")
_ADAPTER_SAFE = (ADAPTER_WEIGHTS,)
_ADAPTER_PICKLED = ("adapter_model.bin",)
_TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "spiece.model",
    "vocab.json",
    "vocab.txt",
)
# Limits of the safetensors format: bytes of the length field, and of the header.
_LENGTH_BYTES, _LONGEST_HEADER = 8, 100_000_000
_POINTER = b"version https://git-lfs"


def is_adapter(folder: Path) -> bool:
    """Whether the folder holds a peft adapter instead of a whole model."""
    return (folder / ADAPTER_CONFIG).is_file()


def has_tokenizer(folder: Path) -> bool:
    """Whether the folder holds a tokenizer of its own."""
    return any((folder / name).is_file() for name in _TOKENIZER)


def check_model_folder(folder: Path, allow_pickle: bool) -> None:
    """Checks that a model can be loaded from the folder.

    Raises:
        UserError: config, weights (or one of their shards) or tokenizer is missing, a file is truncated,
            or the weights are pickled and ``allow_pickle`` is off.
    """
    _check_is_folder(folder)
    missing = []
    if not (folder / "config.json").is_file():
        missing.append("config.json")
    if not _present(folder, _SAFE + _PICKLED):
        missing.append("weights (model.safetensors)")
    if not has_tokenizer(folder):
        missing.append("tokenizer (tokenizer.json)")
    if missing:
        raise UserError(f"The model folder {folder} has no {listed(missing)}.")
    _check_pickle(folder, _SAFE, _PICKLED, allow_pickle)
    for name in (_SAFE[1], _PICKLED[1]):
        if (folder / name).is_file():
            _check_shards(folder, name)
    _check_files(folder)


def check_adapter_folder(folder: Path, allow_pickle: bool) -> str:
    """Checks that an adapter can be loaded from the folder.

    Returns:
        The base model's path or hub name, as the adapter's config gives it.

    Raises:
        UserError: weights or the base model's name are missing, or the weights are pickled and
            ``allow_pickle`` is off.
    """
    if not _present(folder, _ADAPTER_SAFE + _ADAPTER_PICKLED):
        raise UserError(f"The adapter folder {folder} has no weights (adapter_model.safetensors).")
    _check_pickle(folder, _ADAPTER_SAFE, _ADAPTER_PICKLED, allow_pickle)
    _check_files(folder)
    base = read_json(folder / ADAPTER_CONFIG).get("base_model_name_or_path")
    if not base:
        raise UserError(f"{folder / ADAPTER_CONFIG} doesn't name its base model ('base_model_name_or_path').")
    return str(base)


def check_whole(file: Path) -> None:
    """Checks that a safetensors file has the length stated in its header, without reading the weights.

    Raises:
        UserError: It is truncated, a Git LFS pointer, or another kind of file.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        first = stream.read(_LENGTH_BYTES)
        if (first + stream.read(len(_POINTER) - _LENGTH_BYTES)) == _POINTER:
            raise UserError(
                f"{file} is a Git LFS pointer, not the weights: download them with 'git lfs pull'."
            )
        length = int.from_bytes(first, "little")
        stream.seek(_LENGTH_BYTES)
        header = stream.read(length) if length <= min(size, _LONGEST_HEADER) else b""
    try:
        tensors = json.loads(header)
        ends = [_offset(one["data_offsets"][1]) for name, one in tensors.items() if name != "__metadata__"]
    except (ValueError, AttributeError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise UserError(f"{file} can't be read as safetensors: it is damaged or truncated.") from error
    expected = _LENGTH_BYTES + length + max(ends, default=0)
    if size != expected:
        raise UserError(f"{file} is incomplete: it has {size:,} bytes of {expected:,}: download it again.")


def read_json(file: Path) -> dict[str, Any]:
    """Reads a JSON object from a file; raises UserError for anything else."""
    try:
        value = json.loads(read_text(file))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file} can't be read as JSON: {error}.") from error
    if not isinstance(value, dict):
        raise UserError(f"{file} holds no JSON object.")
    return value


def _check_is_folder(folder: Path) -> None:
    if not folder.exists():
        raise UserError(f"There is no model folder {folder}.")
    if not folder.is_dir():
        raise UserError(f"{folder} is a file: give the folder that save_pretrained wrote.")


def _check_pickle(folder: Path, safe: tuple[str, ...], pickled: tuple[str, ...], allowed: bool) -> None:
    if not allowed and not _present(folder, safe):
        name = _present(folder, pickled)[0]
        raise UserError(
            f"The weights in {folder} are pickled ({name}), and unpickling runs any code in them: "
            "convert them to safetensors, or give --allow-pickle if you trust their author."
        )


def _check_shards(folder: Path, index: str) -> None:
    named = read_json(folder / index).get("weight_map")
    shards = sorted(set(map(str, named.values()))) if isinstance(named, dict) else []
    if not shards:
        raise UserError(f"{folder / index} lists no weight files: its 'weight_map' is empty or missing.")
    absent = [name for name in shards if not (folder / name).is_file()]
    if absent:
        raise UserError(f"{folder / index} lists {listed(absent)}, which isn't in the folder.")


def _check_files(folder: Path) -> None:
    for file in sorted(folder.glob("*.safetensors")):
        check_whole(file)


def _offset(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("an offset is no whole number")
    return value


def _present(folder: Path, names: tuple[str, ...]) -> list[str]:
    return [name for name in names if (folder / name).is_file()]
