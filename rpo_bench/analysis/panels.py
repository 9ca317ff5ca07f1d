"""Which results may be compared: panels, the series in them, and the names that tell them apart."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rpo_bench.analysis.naming import PANEL_FIELDS, SERIES_FIELDS, labels
from rpo_bench.files.hashing import hash_json
from rpo_bench.results.store import StoredRecord
from rpo_bench.spec.schema import CellSpec
from rpo_bench.spec.sections import without_neutral

#: The fewest training seeds that allow a statement about another seed.
SEVERAL = 2


@dataclass(frozen=True)
class Row:
    """The checkpoints that differ in their training seed alone.

    Attributes:
        strength: None for the reference policy.
        stored: Ordered by seed.
        also: Other strengths whose checkpoints are the very same, weight by weight: the best of 16 responses
            is that of 8 where there are no more.
    """

    strength: float | None
    stored: tuple[StoredRecord, ...]
    also: tuple[float, ...] = ()

    def at(self, strength: float | None) -> bool:
        """Whether these are its checkpoints at a strength."""
        return strength == self.strength or strength in self.also

    @property
    def spec(self) -> CellSpec:
        """The spec of the first checkpoint; the others' differ in the seed."""
        return self.stored[0].record.spec


@dataclass(frozen=True)
class Series:
    """One method with its options, training settings and data, along its strengths: a line of the frontier.

    Attributes:
        label: The method's label, with a suffix that distinguishes it from the panel's other series.
        rows: Ordered by strength.
    """

    label: str
    rows: tuple[Row, ...]

    @property
    def trained(self) -> bool:
        """False for the reference policy."""
        return self.rows[0].strength is not None


@dataclass(frozen=True)
class Panel:
    """Everything that was measured in one and the same way; only what shares a panel is compared.

    It is one version of a task, the descendants of one base model, one reward and one decoding.

    Attributes:
        task: The task's name, with a suffix that distinguishes this panel from others of the task and model.
        model: The base model's name.
        series: The reference policy first, then by label.
    """

    task: str
    model: str
    series: tuple[Series, ...]

    @property
    def spec(self) -> CellSpec:
        """The spec of one checkpoint: task, model and evaluation are the same for all."""
        return self.series[0].rows[0].spec

    @property
    def architecture(self) -> str:
        """The base model's architecture."""
        return self.series[0].rows[0].stored[0].record.architecture

    @property
    def trained(self) -> tuple[Series, ...]:
        """The series that were trained."""
        return tuple(series for series in self.series if series.trained)

    @property
    def reference(self) -> Row | None:
        """The untrained reference policy, where it was measured."""
        return next((series.rows[0] for series in self.series if not series.trained), None)

    @property
    def records(self) -> list[StoredRecord]:
        """All of the panel's checkpoints."""
        return [stored for series in self.series for row in series.rows for stored in row.stored]


def panels(records: Iterable[StoredRecord]) -> list[Panel]:
    """Sorts results into panels, by task and model; the order of the records doesn't matter."""
    groups = _grouped(records, lambda stored: hash_json(evaluation_key(stored.record.spec)))
    named = {key: (_task_and_model(group[0]), group[0].record.spec) for key, group in groups.items()}
    names = labels(named, PANEL_FIELDS)
    found = []
    for key, group in groups.items():
        task, model = _task_and_model(group[0])
        found.append(Panel(task + names[key], model, _series(group)))
    return sorted(found, key=lambda panel: (panel.task, panel.model, panel.spec.hash))


def _series(records: list[StoredRecord]) -> tuple[Series, ...]:
    groups = _grouped(records, _series_identity)
    named = {key: (_named(group[0]), group[0].record.spec) for key, group in groups.items()}
    names = labels(named, SERIES_FIELDS, {key: _standing(group) for key, group in groups.items()})
    found = [Series(_named(group[0]) + names[key], _rows(group)) for key, group in groups.items()]
    return tuple(sorted(found, key=lambda series: (series.trained, series.label)))


def _standing(group: Sequence[StoredRecord]) -> int:
    """Precedence for an unchanged name: ours with several seeds, others with several, the rest."""
    cells = Counter(stored.record.spec.strength for stored in group)
    if max(cells.values()) < SEVERAL:
        return 2
    return 0 if group[0].record.spec.method.source is None else 1


def _named(stored: StoredRecord) -> str:
    """A method's label, with who contributed it."""
    label = stored.record.spec.method.label
    return label if stored.contributor is None else f"{label} (community: {stored.contributor})"


def _rows(records: list[StoredRecord]) -> tuple[Row, ...]:
    groups = _grouped(records, lambda stored: stored.record.spec.strength)
    rows: list[Row] = []
    for strength, group in groups.items():
        twin = next((i for i, row in enumerate(rows) if _same_checkpoints(row.stored, group)), None)
        if twin is None or strength is None:
            rows.append(Row(strength, tuple(group)))
        else:
            rows[twin] = _with_twin(rows[twin], strength, group)
    return tuple(rows)


def _same_checkpoints(first: Sequence[StoredRecord], second: Sequence[StoredRecord]) -> bool:
    """Whether at every seed that both have their weights are the same."""
    known = {stored.record.spec.seed: stored.record.hashes.get("weights") for stored in first}
    pairs = [
        (known[stored.record.spec.seed], stored.record.hashes.get("weights"))
        for stored in second
        if stored.record.spec.seed in known
    ]
    return bool(pairs) and all(one is not None and one == other for one, other in pairs)


def _with_twin(row: Row, strength: float, group: Sequence[StoredRecord]) -> Row:
    """The row with the seeds that only its twin has."""
    known = {stored.record.spec.seed for stored in row.stored}
    more = [stored for stored in group if stored.record.spec.seed not in known]
    stored = sorted([*row.stored, *more], key=lambda one: one.record.spec.seed)
    return replace(row, stored=tuple(stored), also=(*row.also, strength))


def settled(rows: Sequence[Row]) -> tuple[Row, ...]:
    """The rows that count at equal KL: those with several seeds, or all where none has.

    One seed says nothing about others, so it doesn't affect the estimate of several.
    """
    return tuple(row for row in rows if len(row.stored) >= SEVERAL) or tuple(rows)


def _grouped(records: Iterable[StoredRecord], key: Any) -> dict[Any, list[StoredRecord]]:
    """Groups in an order that depends on the records, not on file paths."""
    groups: dict[Any, list[StoredRecord]] = defaultdict(list)
    for stored in sorted(records, key=_order):
        groups[key(stored)].append(stored)
    return dict(groups)


def _order(stored: StoredRecord) -> tuple[float, int, str]:
    spec = stored.record.spec
    return (float("-inf") if spec.strength is None else spec.strength, spec.seed, stored.record.cell)


def _task_and_model(stored: StoredRecord) -> tuple[str, str]:
    return stored.record.spec.task, stored.record.spec.model


def evaluation_key(spec: CellSpec) -> list[Any]:
    """What has to be equal for two numbers to be measured alike."""
    loading, form = spec.loading, spec.prompt_format
    identity: list[Any] = [spec.task, spec.task_hash, spec.model, spec.model_hash]
    identity += [*loading.numbers, form and form.hash]
    return [*identity, spec.evaluation.model_dump(mode="json")]


def training_key(spec: CellSpec, but: Collection[str] = ()) -> list[Any]:
    """What has to be equal for two trained policies to be one method's, at some strength and seed.

    As in a cell's identity, an online method's training reward is identified by its content, and trackers
    don't count.

    Args:
        spec: Of a trained policy.
        but: Settings of the training that don't count.
    """
    data = spec.data.model_dump(mode="json", exclude={"file", "columns"})
    training = without_neutral(spec.training.model_dump(mode="json", exclude={"reward"}))
    training = {name: value for name, value in training.items() if name not in but}
    return [spec.method.model_dump(mode="json"), data, spec.data_hash, spec.world_hash, training]


def _series_identity(stored: StoredRecord) -> str:
    """What has to be equal for two checkpoints to be on one line of the frontier.

    Contributed results keep apart from the project's own, whatever method they name. The data belong to a
    trained policy's identity only: a reference policy never saw them. What another backend sampled is no
    further seed.
    """
    spec = stored.record.spec
    training = [spec.method.model_dump(mode="json")] if spec.strength is None else training_key(spec)
    return hash_json([*training, spec.generation.backend, stored.contributor])
