"""Upgrades records of earlier versions when they are read.

The schema version increases when a field changes its name or meaning. The step from each version to the next
is then added to ``UPGRADES`` for good. A new field with a default needs no step.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from rpo_bench.files.hashing import hash_json
from rpo_bench.results.schema import SCHEMA_VERSION

Raw = dict[str, Any]
Upgrade = Callable[[Raw], Raw]

#: Version → function that upgrades a record to the next version, without changing its argument.
UPGRADES: Mapping[int, Upgrade] = MappingProxyType({})


class TooOld(Exception):  # noqa: N818 (it names what was found)
    """A record that can't be upgraded; its text is the reason."""


def upgraded(value: Raw, *, steps: Mapping[int, Upgrade] | None = None, to: int = SCHEMA_VERSION) -> Raw:
    """A record's JSON object, upgraded to version ``to``.

    Args:
        value: The object as read, with its ``schema_version``.
        steps: Version → the step to the next; None: ``UPGRADES``.
        to: The target version, not below the record's.

    Raises:
        TooOld: A step on the way is missing.
    """
    known = UPGRADES if steps is None else steps
    while (version := value["schema_version"]) < to:
        if version not in known:
            raise TooOld(f"schema version {version} is too old: it can't be upgraded to {to}")
        value = {**known[version](value), "schema_version": version + 1}
    return value


def holds_its_hash(value: Raw) -> bool:
    """Whether ``cell`` is the hash of ``spec`` as written, independent of the fields of current specs."""
    spec = value.get("spec")
    if not isinstance(spec, dict):
        return False
    identity = {name: part for name, part in spec.items() if name != "model_path"}
    for group, left_out in (("data", "file"), ("training", "reward")):  # as in CellSpec.hash
        if not isinstance(spec.get(group), dict):
            return False
        identity[group] = {name: part for name, part in spec[group].items() if name != left_out}
    return hash_json(identity) == value.get("cell")
