"""Columns under names of the user's own: which of them stands for which of ours."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from rpo_bench.data.excerpt import listed
from rpo_bench.data.sources import Record

#: The columns that may go by another name, each with a flag ``--<name>-column``.
ColumnName = Literal["prompt", "response", "reward", "chosen", "rejected", "label", "messages"]


def flag_of(name: str) -> str:
    """The flag that says what one of our columns is called."""
    return f"--{name.replace('_', '-')}-column"


def renamed(record: Record, columns: Mapping[ColumnName, str]) -> Record:
    """The record with the user's columns under our names.

    A column of the record that has one of these names by itself gives way. A record without a column that was
    named has that as its problem.

    Args:
        record: as it was read.
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
