"""Reads and validates rows from any source, with one-sentence errors."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rpo_bench.data.columns import ColumnName, renamed
from rpo_bench.data.excerpt import excerpt, listed
from rpo_bench.data.fields import BadRecordError
from rpo_bench.data.row import Row
from rpo_bench.data.shapes import rows_of
from rpo_bench.data.sources import HUB, Record, read_records
from rpo_bench.errors import UserError

log = logging.getLogger(__name__)
OnBad = Literal["fail", "skip"]
REASONS_KEPT = 5


@dataclass(frozen=True)
class Loaded:
    """The rows of a source.

    Attributes:
        rows: in the order of the source.
        skipped: number of records left out under ``on_bad="skip"``.
        reasons: reasons for the first few: "line 12: 'reward' is missing".
    """

    rows: list[Row]
    skipped: int = 0
    reasons: tuple[str, ...] = ()


def read_rows(
    source: str | Path,
    *,
    split: str | None = None,
    on_bad: OnBad = "fail",
    min_prompts: int = 2,
    columns: Mapping[ColumnName, str] | None = None,
) -> list[Row]:
    """The rows of a source; skipped records are logged as a warning. See ``load_rows``."""
    loaded = load_rows(source, split=split, on_bad=on_bad, min_prompts=min_prompts, columns=columns)
    if loaded.skipped:
        log.warning("%s", skip_sentence(source, loaded))
    return loaded.rows


def load_rows(
    source: str | Path,
    *,
    split: str | None = None,
    on_bad: OnBad = "fail",
    min_prompts: int = 2,
    columns: Mapping[ColumnName, str] | None = None,
) -> Loaded:
    """Reads and checks the rows of a source.

    Args:
        source: A file, the folder of a saved dataset, or ``hf:NAME``: see ``read_records``.
        split: Read only this split; the rows' own ``split`` is then dropped.
        on_bad: Whether an unusable record raises, or is skipped and counted.
        min_prompts: Minimum number of distinct prompts: two are needed to hold one out.
        columns: Our column name → the source's name: see ``ColumnName``.

    Raises:
        UserError: the source can't be read, a record is unusable, or there are too few prompts.
    """
    collector = _Collector(str(source))
    for record in read_records(source, split):
        reason = collector.take(renamed(record, columns or {}))
        if reason and on_bad == "fail":
            remedy = "fix it, or leave such records out with --skip-bad-lines"
            raise UserError(f"{source} {record.where}: {reason}; {remedy}.")
    rows = collector.rows
    if split is not None and not _chosen_on_loading(source):
        rows = _of_split(source, rows, split)
    if not rows:
        first = f": {collector.reasons[0]}" if collector.reasons else ""
        raise UserError(f"{source} has no usable rows{first}.")
    prompts = len({row.prompt_id for row in rows})
    if prompts < min_prompts:
        found = "only one prompt" if prompts == 1 else f"only {prompts} prompts"
        raise UserError(f"{source} has {found}: at least {min_prompts} are needed, to hold out one or more.")
    return Loaded(_with_reference_rewards(rows), collector.skipped, tuple(collector.reasons))


def skip_sentence(source: str | Path, loaded: Loaded) -> str:
    """A sentence on the skipped records, with reasons for the first few."""
    more = "; …" if loaded.skipped > len(loaded.reasons) else ""
    noun = "record" if loaded.skipped == 1 else "records"
    return f"{source}: {loaded.skipped:,} {noun} left out ({'; '.join(loaded.reasons)}{more})."


def _chosen_on_loading(source: str | Path) -> bool:
    """Whether the source itself selects the split (Hugging Face datasets do)."""
    return str(source).startswith(HUB) or Path(source).is_dir()


@dataclass
class _Collector:
    """Collects rows and detects contradictions between them."""

    source: str
    rows: list[Row] = field(default_factory=list)
    prompts: dict[str, Row] = field(default_factory=dict)  # prompt_id → its first row
    reference_rewards: dict[str, Row] = field(default_factory=dict)  # prompt_id → the row that has them
    skipped: int = 0
    reasons: list[str] = field(default_factory=list)

    def take(self, record: Record) -> str | None:
        """Adds all rows of a record, or none; then returns the reason."""
        try:
            if record.problem:
                raise BadRecordError(record.problem)
            rows = rows_of(record, self.source)
            self._agree(rows)
        except BadRecordError as error:
            self.skipped += 1
            if len(self.reasons) < REASONS_KEPT:
                self.reasons.append(f"{record.where}: {error}")
            return str(error)
        for row in rows:
            self.prompts.setdefault(row.prompt_id, row)
            if row.reference_rewards is not None:
                self.reference_rewards.setdefault(row.prompt_id, row)
        self.rows += rows
        return None

    def _agree(self, rows: Iterable[Row]) -> None:
        """Raises BadRecordError if a row contradicts an earlier one about its prompt."""
        for row in rows:
            first = self.prompts.get(row.prompt_id)
            if first is not None and first.prompt != row.prompt:
                raise BadRecordError(
                    f"'prompt_id' {excerpt(row.prompt_id)} belongs to another prompt at {self._place(first)}"
                )
            scored = self.reference_rewards.get(row.prompt_id)
            if scored is None or row.reference_rewards is None:
                continue
            if scored.reference_rewards != row.reference_rewards:
                raise BadRecordError(
                    f"'reference_rewards' differ from those of the same prompt at {self._place(scored)}"
                )

    def _place(self, row: Row) -> str:
        return (row.source or "an earlier row").removeprefix(f"{self.source} ")


def _of_split(source: str | Path, rows: list[Row], split: str) -> list[Row]:
    chosen = [row.model_copy(update={"split": None}) for row in rows if row.split == split]
    if not chosen:
        found = sorted({row.split for row in rows if row.split})
        known = f"its splits are {listed(found)}" if found else "its rows have no 'split'"
        raise UserError(f"{source} has no rows of the split '{excerpt(split)}': {known}.")
    return chosen


def _with_reference_rewards(rows: list[Row]) -> list[Row]:
    """Copies a row's reference rewards to all rows of its prompt."""
    known = {row.prompt_id: row.reference_rewards for row in rows if row.reference_rewards is not None}
    if not known:
        return rows
    return [row.model_copy(update={"reference_rewards": known.get(row.prompt_id)}) for row in rows]
