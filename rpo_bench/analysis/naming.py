"""Names that distinguish panels, and the series in a panel, by the settings in which they differ."""

from collections import defaultdict
from collections.abc import Hashable, Mapping
from typing import Any, TypeVar

from rpo_bench.spec.schema import CellSpec

K = TypeVar("K", bound=Hashable)

#: Prefixes of the settings that distinguish panels, and series in a panel.
PANEL_FIELDS = (
    "task_hash",
    "model_hash",
    "evaluation.",
    "prompt_format.kind",
    "prompt_format.system",
    "prompt_format.hash",
    "loading.dtype",
    "loading.quantization",
    "loading.attn",
)
SERIES_FIELDS = ("data.", "data_hash", "world_hash", "training.", "method.source", "generation.backend")


def labels(
    groups: Mapping[K, tuple[Hashable, CellSpec]], fields: tuple[str, ...], standing: Mapping[K, int] = {}
) -> dict[K, str]:
    """For every group the suffix that distinguishes it from others of its name: empty, or `` [steps=100]``.

    Args:
        groups: Key → (name, the spec of one of the group's results).
        fields: The beginnings of the settings that a group has in common.
        standing: Key → a number; a group is distinguished from those with the same or a lower one, so that it
            keeps its name when others are added.
    """
    named: dict[Hashable, list[K]] = defaultdict(list)
    for key, (name, _) in groups.items():
        named[name].append(key)
    found: dict[K, str] = {}
    for keys in named.values():
        for most in {standing.get(key, 0) for key in keys}:
            among = [key for key in keys if standing.get(key, 0) <= most]
            differences = _differences([groups[key][1] for key in among], fields)
            for key, difference in zip(among, differences, strict=True):
                if standing.get(key, 0) == most:
                    found[key] = f" [{difference}]" if difference else ""
    return found


_HASHES = ("task_hash", "data_hash", "model_hash", "world_hash", "method.source", "prompt_format.hash")
_TELLS_NOTHING = ("data.file", "training.report_to")
_CALLED = {
    "prompt_format.kind": "prompt_format",
    "prompt_format.hash": "format",
    "prompt_format.system": "system_prompt",
}


def _differences(specs: list[CellSpec], fields: tuple[str, ...]) -> list[str]:
    """For every spec the settings in which these specs differ; hashes only where nothing else does."""
    flat = [_flat(spec.model_dump(mode="json")) for spec in specs]
    keys = sorted(
        {key for one in flat for key in one if key.startswith(fields) and key not in _TELLS_NOTHING}
    )
    varying = [key for key in keys if len({repr(one.get(key)) for one in flat}) > 1]
    telling = [key for key in varying if key not in _HASHES]
    if len({tuple(repr(one.get(key)) for key in telling) for one in flat}) < len(flat):
        telling = varying
    return [", ".join(f"{_short(key)}={_value(key, one)}" for key in telling) for one in flat]


def _short(key: str) -> str:
    """``responses_per_prompt`` for ``data.responses_per_prompt``."""
    return _CALLED.get(key) or key.rpartition(".")[2].removesuffix("_hash")


def _value(key: str, flat: Mapping[str, Any]) -> str:
    value = flat.get(key)
    if value is None:
        return "default"
    return str(value)[:8] if key in _HASHES else str(value)


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, dict):
            flat |= _flat(item, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = item
    return flat
