"""The command that reproduces a record, updated when more is measured."""

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from rpo_bench.results.schema import MetricValue, Record
from rpo_bench.spec.sections import FIRST_PROTOCOL

JUDGES = "judges"  # under ``extra``: the judges of a record's win rates, and their settings
_THEN = " && "
_TRAINED = re.compile(r"against ([\w-]+)@(\S+?)(?:,|$)")  # in the unit of a win rate


def with_flags(command: str, values: Mapping[str, object]) -> str:
    """A command with some flags set, in place or at the end; None removes a flag.

    Of several commands in a row the first is changed.
    """
    first, then, rest = command.partition(_THEN)
    parts = _parts(first)
    if parts is None:
        return command
    before = list(parts)
    for flag, value in values.items():
        new = [] if value is None else [flag, str(value)]
        at = parts.index(flag) if flag in parts else len(parts)
        parts[at : at + 2] = new
    return (first if parts == before else shlex.join(parts)) + then + rest


def judged_command(
    command: str, judges: Mapping[str, Mapping[str, Any]], metrics: Sequence[MetricValue]
) -> str:
    """A record's command with everything that its win rates need.

    Args:
        command: Trains and measures the checkpoint.
        judges: From ``extra``: ``flags`` of that command, and ``commands`` to run after it.
        metrics: Win rates; a trained baseline of theirs is trained as well.
    """
    flags: dict[str, object] = {"--judge": None, "--judge-prompts": None}
    later: list[str] = []
    for judge in judges.values():
        given, commands = judge.get("flags"), judge.get("commands")
        flags |= given if isinstance(given, dict) else {}
        texts = [one for one in commands if isinstance(one, str)] if isinstance(commands, list) else []
        later += [one for one in texts if one not in later]
    first = with_flags(command.partition(_THEN)[0], flags)
    for baseline in sorted({found.groups() for one in metrics if (found := _TRAINED.search(one.unit))}):
        first = _with_baseline(first, *baseline)
    return _THEN.join([first, *later])


def told_judges(record: Record) -> dict[str, dict[str, Any]]:
    """The judges in a record's ``extra``; malformed entries of contributed records are ignored."""
    known = record.extra.get(JUDGES)
    if not isinstance(known, dict):
        return {}
    return {name: judge for name, judge in known.items() if isinstance(judge, dict)}


def _parts(command: str) -> list[str] | None:
    """The words of a command; None for text that a shell can't parse."""
    try:
        return shlex.split(command)
    except ValueError:
        return None


def whole(record: Record) -> Record:
    """A record of an earlier version whose command reproduces it with the current version."""
    return _judged(_of_its_protocol(record))


def _of_its_protocol(record: Record) -> Record:
    """A record with flags for its batches and clipping, added where they are missing."""
    parts = _parts(record.command) or []
    trained = record.spec.strength is not None and parts[1:2] in (["train-and-eval"], ["train"])
    if not trained or not record.spec.training.of_version_0_1 or "--batches" in parts:
        return record
    flags = {f"--{name}": value for name, value in FIRST_PROTOCOL.items()}
    return record.model_copy(update={"command": with_flags(record.command, flags)})


def _judged(record: Record) -> Record:
    """A record whose command includes what its win rates need.

    In earlier versions the win rates of a task's own judge came from a run, with one sample per prompt.
    """
    judged = [one for name, one in record.metrics.items() if name.startswith("win_rate")]
    if not judged or JUDGES in record.extra or not (judged[0].backend or "").startswith("embedded:"):
        return record
    prompts = judged[0].scored + sum(judged[0].unscored.values())
    entry = {"flags": {"--judge": "embedded", "--judge-prompts": prompts}}
    return record.model_copy(update={"command": judged_command(record.command, {"": entry}, judged)})


def _with_baseline(command: str, method: str, strength: str) -> str:
    """A ``train-and-eval`` of one cell that also trains a baseline; other commands are unchanged."""
    parts = _parts(command) or []
    if parts[1:2] != ["train-and-eval"] or "--preset" in parts:  # a preset lists its own methods
        return command
    flags = ("--methods", "--strengths")
    values = {flag: parts[parts.index(flag) + 1] for flag in flags if flag in parts[:-1]}
    label, own = values.get("--methods"), values.get("--strengths", "")
    if label is None:  # the reference policy, which comes with any method
        return with_flags(command, {"--methods": method, "--strengths": strength})
    if label == method:
        strengths = own if strength in own.split(",") else f"{own},{strength}"
        return with_flags(command, {"--strengths": strengths})
    if label.startswith(f"{method},"):  # it is there already
        return command
    both = f"{method}={strength};{label.partition('(')[0]}={own}"
    return with_flags(command, {"--methods": f"{method},{label}", "--strengths": both})
