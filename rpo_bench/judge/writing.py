"""Writes win rates to result records; the metrics of several judges are kept side by side."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rpo_bench.judge.naming import same_judge, short_name
from rpo_bench.judge.scores import NAMES, WIN_RATE
from rpo_bench.results.command_line import JUDGES, judged_command, told_judges
from rpo_bench.results.publish import PUBLISHED
from rpo_bench.results.schema import MetricValue, Record
from rpo_bench.results.store import StoredRecord, write_record
from rpo_bench.results.updating import updating

Metrics = Mapping[str, MetricValue]


def write_metrics(
    records: Sequence[StoredRecord],
    metrics: Mapping[str, Metrics],
    judge: str,
    *,
    first: bool = False,
    how: Mapping[str, Any] | None = None,
) -> int:
    """Writes a judge's metrics to the records; returns the number of changed records.

    The metrics of one judge have plain names (``win_rate``), which the board shows: the judge with plain
    names in most records, otherwise this one. Those of all others are named ``win_rate@JUDGE``.

    Args:
        records: The judged results.
        metrics: Cell → metrics with plain names.
        judge: The judge's name.
        first: Whether this judge gets the plain names.
        how: The reproducing part of the records' commands: ``flags`` of a run, or ``commands`` after it.
    """
    owner = judge if first else board_judge(records) or judge
    changed = 0
    for stored in records:
        with updating(stored) as old:
            new = _told(old, metrics.get(old.cell), judge, owner)
            if how is not None and old.cell in metrics:
                known = {**told_judges(old), short_name(judge): {"judge": judge, **how}}
                rates = [one for name, one in new.metrics.items() if name.startswith(WIN_RATE)]
                command = judged_command(old.command, known, rates)
                new = new.model_copy(update={"extra": {**old.extra, JUDGES: known}, "command": command})
            if new != old:
                indent = None if PUBLISHED in old.extra else 2  # published records are compact
                write_record(stored.folder, new, indent)
                changed += 1
    return changed


def board_judge(records: Sequence[StoredRecord]) -> str | None:
    """The judge whose win rates have plain names in most records; None without any."""
    found = Counter(name for one in records if (name := judged_by(one)) is not None)
    return max(sorted(found), key=lambda name: found[name]) if found else None


def judged_by(stored: StoredRecord) -> str | None:
    """The judge of the plain win rates in a record; None without any."""
    return _owner(stored.record)


def metrics_by(stored: StoredRecord, judge: str) -> dict[str, MetricValue]:
    """A judge's metrics of a checkpoint, with plain names."""
    metrics, suffix = stored.record.metrics, f"@{short_name(judge)}"
    plain = same_judge(_owner(stored.record), judge)
    found = {name: metrics[name] for name in NAMES if plain and name in metrics}
    return {name: metrics[name + suffix] for name in NAMES if name + suffix in metrics} | found


def _told(record: Record, own: Metrics | None, judge: str, owner: str) -> Record:
    """The record with a judge's new metrics; the owner's metrics get the plain names."""
    kept, before = dict(record.metrics), _owner(record)
    if before is not None and not same_judge(before, owner):
        kept |= {f"{name}@{short_name(before)}": kept.pop(name) for name in NAMES if name in kept}
    if own is not None:
        suffix = "" if same_judge(owner, judge) else f"@{short_name(judge)}"
        for name in NAMES:
            kept.pop(f"{name}@{short_name(judge)}", None)
            if not suffix:
                kept.pop(name, None)
        kept |= {name + suffix: value for name, value in own.items()}
    return record.model_copy(update={"metrics": dict(sorted(kept.items()))})


def _owner(record: Record) -> str | None:
    return next((record.metrics[n].backend for n in NAMES if n in record.metrics), None)
