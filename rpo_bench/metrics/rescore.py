"""Adds metrics to stored samples, without loading the policy."""

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
    """A rescored result.

    Attributes:
        record: The new record.
        added: New or replaced metrics.
    """

    record: Record
    added: tuple[str, ...]


def published(metric: Metric) -> tuple[str, ...]:
    """The names of a metric in records."""
    return tuple(s.name for s in metric.summaries) if isinstance(metric, SampleMetric) else (metric.name,)


def rescore(
    stored: StoredRecord,
    metrics: Sequence[Metric],
    *,
    overwrite: bool = False,
    include_path: Path | None = None,
) -> Rescored:
    """Measures stored samples with further metrics and adds these to the result.

    Scores are written before the record, both atomically. If stopped in between, the same call completes it.

    Args:
        stored: A result with its samples.
        metrics: The metrics.
        overwrite: Whether to measure metrics again that the record already has.
        include_path: A folder of further tasks, for their prompts.

    Raises:
        UserError: The samples or scores can't be read.
    """
    record = stored.record
    wanted = [m for m in metrics if overwrite or not set(published(m)) <= set(record.metrics)]
    if not wanted or not record.metrics:  # a diverged run has no samples
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
    """The score lines with the new metrics' scores replacing old ones.

    Args:
        lines: The stored lines.
        measured: New scores of the same samples.
        names: The new metrics.
    """
    new = {(line.prompt_id, line.sample): line for line in measured.scores}
    if set(new) != {(line.prompt_id, line.sample) for line in lines}:
        raise UserError(f"{SCORES_FILE} doesn't match the samples in the same folder.")
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
