"""Metrics added to stored samples afterwards; no model of the policy is touched."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from rpo_bench.errors import UserError
from rpo_bench.files.hashing import hash_file
from rpo_bench.files.json_lines import write_json_lines
from rpo_bench.metrics.protocol import Metric, SampleMetric
from rpo_bench.metrics.suite import SuiteResult, run_metrics
from rpo_bench.results.samples import ScoreLine
from rpo_bench.results.schema import Record
from rpo_bench.results.store import SCORES_FILE, StoredRecord, read_samples, read_scores, write_record
from rpo_bench.results.updating import updating
from rpo_bench.tasks.stored_prompts import prompts_of


@dataclass(frozen=True)
class Rescored:
    """What became of one result.

    Attributes:
        record: As it is now.
        added: The metrics that are new in it, or were replaced.
    """

    record: Record
    added: tuple[str, ...]


def published(metric: Metric) -> tuple[str, ...]:
    """The names that a metric has in a record."""
    return tuple(s.name for s in metric.summaries) if isinstance(metric, SampleMetric) else (metric.name,)


def rescore(
    stored: StoredRecord,
    metrics: Sequence[Metric],
    *,
    overwrite: bool = False,
    include_path: Path | None = None,
) -> Rescored:
    """Measures stored samples by some metrics and writes them into the result beside the others.

    Scores go to disk before the record that tells of them, each as a whole: stopped in between, the same call
    again completes it.

    Args:
        stored: A result with its samples.
        metrics: What to measure.
        overwrite: Whether to measure again what the record has.
        include_path: A folder of further tasks, for their prompts.

    Raises:
        UserError: The samples or scores can't be read.
    """
    record = stored.record
    wanted = [m for m in metrics if overwrite or not set(published(m)) <= set(record.metrics)]
    if not wanted or not record.metrics:  # a run that diverged has no samples
        return Rescored(record, ())
    samples = read_samples(stored.folder)
    measured = run_metrics(wanted, prompts_of(record.spec, samples, include_path), samples, record.cell)
    with updating(stored) as record:
        names = tuple(name for name in measured.metrics if overwrite or name not in record.metrics)
        lines = merged(read_scores(stored.folder), measured, {m.name for m in wanted})
        write_json_lines(stored.folder / SCORES_FILE, lines)
        values = {**record.metrics, **{name: measured.metrics[name] for name in names}}
        changed = record.model_copy(
            update={
                "metrics": dict(sorted(values.items())),
                "hashes": {**record.hashes, "scores": hash_file(stored.folder / SCORES_FILE)},
            }
        )
        write_record(stored.folder, changed)
    return Rescored(changed, names)


def merged(lines: Sequence[ScoreLine], measured: SuiteResult, names: Collection[str]) -> list[ScoreLine]:
    """The score lines with the new metrics' scores in place of what they had of them.

    Args:
        lines: As stored.
        measured: New ones, of the same samples.
        names: The metrics that were measured.
    """
    new = {(line.prompt_id, line.sample): line for line in measured.scores}
    if set(new) != {(line.prompt_id, line.sample) for line in lines}:
        raise UserError(f"{SCORES_FILE} is not of the same samples as the samples beside it.")
    found = []
    for line in lines:
        extra = new[line.prompt_id, line.sample]
        kept = {name: reason for name, reason in line.unscored.items() if name not in names}
        found.append(
            line.model_copy(
                update={
                    "scores": {**line.scores, **extra.scores},
                    "unscored": {**kept, **extra.unscored},
                }
            )
        )
    return found
