"""The details of one table row, for its card."""

from collections.abc import Sequence
from shlex import quote
from typing import Any

from rpo_bench.analysis.lengths import LONGEST_NAME
from rpo_bench.analysis.panels import Row
from rpo_bench.analysis.rows import BoardRow, Value
from rpo_bench.results.schema import Record
from rpo_bench.terminal.visible import visible
from rpo_bench.wording import strength_text


def details(
    shown: BoardRow, row: Row, prompts: str, samples: str | None, missing: Sequence[str]
) -> dict[str, Any]:
    """A row's card as plain values.

    Args:
        shown: The row as the table shows it.
        row: Its checkpoints.
        prompts: The script with its panel's prompts.
        samples: The script with its samples, if there are any.
        missing: Reasons for missing samples.
    """
    records = [stored.record for stored in row.stored]
    environments = _distinct([record.environment.model_dump(mode="json") for record in records])
    return {
        "key": shown.key,
        "task": shown.task,
        "model": shown.model,
        "architecture": shown.architecture,
        "method": shown.method,
        "strength": strength_text(shown.strength_name, shown.strength),
        "badge": shown.badge,
        "compare": _compare_words(shown, records[0]),
        "metrics": {name: _metric(value, records, name) for name, value in sorted(shown.values.items())},
        "unscored": dict(sorted(shown.unscored.items())),
        "stability": dict(shown.stability),
        "checkpoints": [_checkpoint(record) for record in records],
        "spec": records[0].spec.model_dump(mode="json", exclude={"seed"}),
        "environments": environments,
        "prompts": prompts,
        "samples": samples,
        "missing": list(missing),
    }


def _compare_words(shown: BoardRow, record: Record) -> dict[str, str] | None:
    """The row's name, task and model as shell arguments of ``rpo-bench compare``; None for odd names."""
    name = shown.method
    if shown.strength is not None:
        short = f"{shown.strength:g}"
        name += f"@{short if float(short) == shown.strength else repr(shown.strength)}"
    words = {"name": name, "task": record.spec.task, "model": record.spec.model}
    odd = any(visible(word) != word or len(word) > LONGEST_NAME for word in words.values())
    return None if odd else {key: quote(word) for key, word in words.items()}


def _metric(value: Value, records: Sequence[Record], name: str) -> dict[str, Any]:
    known = next((record.metrics[name] for record in records if name in record.metrics), None)
    one = value.interval
    return {
        "point": one.point,
        "low": one.low,
        "high": one.high,
        "level": one.level,
        "method": one.method,
        "levels": list(one.levels),
        "seeds": value.seeds,
        "prompts": value.prompts,
        "backend": value.backend,
        "unit": known.unit if known else "",
        "better": known.higher_is_better if known else None,
    }


def _checkpoint(record: Record) -> dict[str, Any]:
    return {
        "seed": record.spec.seed,
        "cell": record.cell,
        "status": record.status,
        "reason": record.reason,
        "cost": record.cost.model_dump(mode="json"),
        "hashes": dict(sorted(record.hashes.items())),
        "command": record.command,
    }


def _distinct(values: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for value in values:
        if value not in found:
            found.append(value)
    return found
