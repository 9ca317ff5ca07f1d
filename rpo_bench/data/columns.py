"""Renames the user's columns to ours."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from rpo_bench.data.excerpt import listed
from rpo_bench.data.sources import Record

#: The columns that may have another name, each with a flag ``--<name>-column``.
ColumnName = Literal["prompt", "response", "reward", "chosen", "rejected", "label", "messages"]


def flag_of(name: str) -> str:
    """The flag for the user's name of one of our columns."""
    return f"--{name.replace('_', '-')}-column"


def renamed(record: Record, columns: Mapping[ColumnName, str]) -> Record:
    """The record with the user's columns renamed to ours.

    An original column with one of our names is dropped. A record without a named column gets a problem.

    Args:
        record: the original record.
        columns: our name → the user's.
    """
    if record.problem or not columns:
        return record
    value = record.value
    for ours, theirs in columns.items():
        if theirs not in value:
            there = listed(value) or "none"
            problem = f"the column '{theirs}', which {flag_of(ours)} names, is missing; there are {there}"
            return replace(record, value={}, problem=problem)
    gone = {*columns, *columns.values()}
    others = {key: found for key, found in value.items() if key not in gone}
    return replace(record, value=others | {ours: value[theirs] for ours, theirs in columns.items()})
