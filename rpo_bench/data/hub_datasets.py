"""Reads Hugging Face datasets: saved on disk, or by name from the hub."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rpo_bench.data.sources import HUB, Record
from rpo_bench.errors import UserError, did_you_mean, first_line
from rpo_bench.remote.hub import explained, resolve_commit

log = logging.getLogger(__name__)
OUR_SPLITS = ("train", "test")


def saved_records(folder: Path, split: str | None) -> Iterator[Record]:
    """The rows of a dataset written by ``save_to_disk``."""
    import datasets

    if not any((folder / name).is_file() for name in ("dataset_dict.json", "state.json")):
        raise UserError(
            f"{folder} is a folder, but not a Hugging Face dataset saved by save_to_disk: give a file in it."
        )
    try:
        loaded = datasets.load_from_disk(str(folder))
    except Exception as error:  # the library raises many types for damaged folders
        raise UserError(f"{folder}: the saved dataset can't be loaded: {first_line(error)}.") from error
    return _rows(str(folder), loaded, split)


def hub_records(name: str, split: str | None, revision: str | None = None) -> Iterator[Record]:
    """The rows of ``hf:NAME`` or ``hf:NAME:CONFIG``; ``split`` may be a slice such as "train[:1000]"."""
    import datasets

    path, _, config = name.removeprefix(HUB).partition(":")
    if not path:
        raise UserError("hf: needs a dataset's name after the colon, as in hf:Anthropic/hh-rlhf.")
    if not Path(path).exists():
        revision = resolve_commit(path, "dataset", HUB, revision) or revision
    try:
        loaded = datasets.load_dataset(path, config or None, split=split, revision=revision)
    except Exception as error:  # no network, no such name, no such split, a gated dataset …
        if isinstance(error, ConnectionError):
            raise UserError(explained(path, "dataset", HUB, revision, error)) from error
        raise UserError(f"{name} can't be loaded from the hub: {first_line(error)}.") from error
    return _rows(name, loaded, None)


def _rows(name: str, loaded: Any, split: str | None) -> Iterator[Record]:
    """The rows of one split; by default of "train" and "test" if the dataset has splits."""
    import datasets

    if not isinstance(loaded, datasets.DatasetDict):
        return _numbered(name, loaded, None)
    names = [str(key) for key in loaded]
    if split is not None:
        if split not in names:
            raise UserError(f"{name} has no split '{split}'.{did_you_mean(split, names)}")
        return _numbered(name, loaded[split], None)
    if len(names) == 1:
        return _numbered(name, loaded[names[0]], None)
    if "train" not in names:
        raise UserError(f"{name} has the splits {', '.join(names)}: choose one with --split.")
    left_out = [key for key in names if key not in OUR_SPLITS]
    if left_out:
        log.warning("%s: reading the splits train and test; left out: %s", name, ", ".join(left_out))
    return (r for key in OUR_SPLITS if key in names for r in _numbered(name, loaded[key], key))


def _numbered(name: str, rows: Any, split: str | None) -> Iterator[Record]:
    number, values = 0, iter(rows)
    while True:
        try:
            value = next(values, None)
        except Exception as error:  # texts that aren't UTF-8, a damaged file …
            raise UserError(
                f"{name}: the row after row {number:,} can't be read: {first_line(error)}."
            ) from error
        if value is None:
            return
        number += 1
        yield Record(number, "row", dict(value), split=split)
