"""Records of earlier versions, brought up to the present one when they are read.

The schema's version grows when a field changes its name or its meaning; the step from each version to the
next is then added to ``UPGRADES``, and stays. A new field with a default needs no step: a record without it
has the default.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from rpo_bench.files.hashing import hash_json
from rpo_bench.results.schema import SCHEMA_VERSION

Raw = dict[str, Any]
Upgrade = Callable[[Raw], Raw]

#: Version → what makes a record of the next version of one of this. A step leaves its argument as it was.
UPGRADES: Mapping[int, Upgrade] = MappingProxyType({})


class TooOld(Exception):  # noqa: N818 (it names what was found)
    """A record that can't be upgraded; its text is the reason."""


def upgraded(value: Raw, *, steps: Mapping[int, Upgrade] | None = None, to: int = SCHEMA_VERSION) -> Raw:
    """A record's JSON object as one of version ``to``.

    Args:
        value: As it was read, with its ``schema_version``.
        steps: Version → the step to the next; None: ``UPGRADES``.
        to: The version wanted, not below the record's.

    Raises:
        TooOld: There is no step from one of the versions on the way.
    """
    known = UPGRADES if steps is None else steps
    while (version := value["schema_version"]) < to:
        if version not in known:
            raise TooOld(f"schema version {version} is too old: there is no way from it to {to}")
        value = {**known[version](value), "schema_version": version + 1}
    return value


def holds_its_hash(value: Raw) -> bool:
    """Whether ``cell`` is the hash of ``spec`` as it was written, whatever fields specs have today."""
    spec = value.get("spec")
    if not isinstance(spec, dict):
        return False
    identity = {name: part for name, part in spec.items() if name != "model_path"}
    for group, left_out in (("data", "file"), ("training", "reward")):  # as in CellSpec.hash
        if not isinstance(spec.get(group), dict):
            return False
        identity[group] = {name: part for name, part in spec[group].items() if name != left_out}
    return hash_json(identity) == value.get("cell")
