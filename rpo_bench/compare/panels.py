"""Which results may be compared: panels, the series in them, and the names that tell them apart."""

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from rpo_bench.hashing import hash_json
from rpo_bench.results.store import StoredRecord
from rpo_bench.spec import CellSpec

K = TypeVar("K", bound=Hashable)


#: The beginnings of the settings that tell panels, and series within a panel, apart.
_PANEL_FIELDS = (
    "task_hash",
    "model_hash",
    "evaluation.",
    "prompt_format.kind",
    "prompt_format.system",
    "prompt_format.hash",
    "loading.dtype",
    "loading.attn",
)
_SERIES_FIELDS = ("data.", "data_hash", "world_hash", "training.", "method.source", "generation.backend")


@dataclass(frozen=True)
class Row:
    """The checkpoints that differ in their training seed alone.

    Attributes:
        strength: None for the reference policy.
        stored: Ordered by seed.
    """

    strength: float | None
    stored: tuple[StoredRecord, ...]

    @property
    def spec(self) -> CellSpec:
        """The spec of the first checkpoint; the others' differ in the seed."""
        return self.stored[0].record.spec


@dataclass(frozen=True)
class Series:
    """One method with its options, training settings and data, along its strengths: a line of the frontier.

    Attributes:
        label: The method's label, with whatever else tells it from the panel's other series.
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
        task: The task's name, with whatever tells this panel from others of the same task and model.
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
    groups = _grouped(records, lambda stored: hash_json(measured_as(stored.record.spec)))
    named = {key: (_task_and_model(group[0]), group[0].record.spec) for key, group in groups.items()}
    names = _labels(named, _PANEL_FIELDS)
    found = []
    for key, group in groups.items():
        task, model = _task_and_model(group[0])
        found.append(Panel(task + names[key], model, _series(group)))
    return sorted(found, key=lambda panel: (panel.task, panel.model, panel.spec.hash))


def _series(records: list[StoredRecord]) -> tuple[Series, ...]:
    groups = _grouped(records, _series_identity)
    named = {key: (_named(group[0]), group[0].record.spec) for key, group in groups.items()}
    names = _labels(named, _SERIES_FIELDS)
    found = [Series(_named(group[0]) + names[key], _rows(group)) for key, group in groups.items()]
    return tuple(sorted(found, key=lambda series: (series.trained, series.label)))


def _named(stored: StoredRecord) -> str:
    """A method's label, with who contributed it."""
    label = stored.record.spec.method.label
    return label if stored.contributor is None else f"{label} (community: {stored.contributor})"


def _rows(records: list[StoredRecord]) -> tuple[Row, ...]:
    groups = _grouped(records, lambda stored: stored.record.spec.strength)
    return tuple(Row(strength, tuple(group)) for strength, group in groups.items())


def _grouped(records: Iterable[StoredRecord], key: Any) -> dict[Any, list[StoredRecord]]:
    """Groups in an order that depends on what the records are, not on where they lie."""
    groups: dict[Any, list[StoredRecord]] = defaultdict(list)
    for stored in sorted(records, key=_order):
        groups[key(stored)].append(stored)
    return dict(groups)


def _order(stored: StoredRecord) -> tuple[float, int, str]:
    spec = stored.record.spec
    return (float("-inf") if spec.strength is None else spec.strength, spec.seed, stored.record.cell)


def _task_and_model(stored: StoredRecord) -> tuple[str, str]:
    return stored.record.spec.task, stored.record.spec.model


def measured_as(spec: CellSpec) -> list[Any]:
    """What has to be equal for two numbers to be measured alike."""
    loading, form = spec.loading, spec.prompt_format
    identity: list[Any] = [spec.task, spec.task_hash, spec.model, spec.model_hash]
    identity += [loading.dtype, loading.attn_implementation, form and form.hash]
    return [*identity, spec.evaluation.model_dump(mode="json")]


def learnt_as(spec: CellSpec, but: Collection[str] = ()) -> list[Any]:
    """What has to be equal for two trained policies to be one method's, at some strength and seed.

    As in a cell's identity, what an online method learns from is told by its content, and trackers change
    nothing.

    Args:
        spec: Of a trained policy.
        but: Settings of the training that don't count.
    """
    data = spec.data.model_dump(mode="json", exclude={"file"})
    training = spec.training.model_dump(mode="json", exclude={"reward", "report_to", *but})
    return [spec.method.model_dump(mode="json"), data, spec.data_hash, spec.world_hash, training]


def _series_identity(stored: StoredRecord) -> str:
    """What has to be equal for two checkpoints to lie on one line of the frontier.

    Contributed results keep apart from the project's own, whatever method they name. The data belong to a
    trained policy's identity only: a reference policy never saw them. What another backend sampled is no
    further seed.
    """
    spec = stored.record.spec
    learnt = [spec.method.model_dump(mode="json")] if spec.strength is None else learnt_as(spec)
    return hash_json([*learnt, spec.generation.backend, stored.contributor])


def _labels(groups: Mapping[K, tuple[Hashable, CellSpec]], fields: tuple[str, ...]) -> dict[K, str]:
    """For every group, what tells it from those of the same name: nothing, or `` [steps=100]``.

    Args:
        groups: Key → (name, the spec of one of the group's results).
        fields: The beginnings of the settings that a group has in common.
    """
    named: dict[Hashable, list[K]] = defaultdict(list)
    for key, (name, _) in groups.items():
        named[name].append(key)
    labels: dict[K, str] = {}
    for keys in named.values():
        for key, difference in zip(keys, _differences([groups[key][1] for key in keys], fields), strict=True):
            labels[key] = f" [{difference}]" if difference else ""
    return labels


_HASHES = ("task_hash", "data_hash", "model_hash", "world_hash", "method.source", "prompt_format.hash")
_TELLS_NOTHING = ("data.file", "training.report_to")
_CALLED = {
    "prompt_format.kind": "prompt_format",
    "prompt_format.hash": "format",
    "prompt_format.system": "system_prompt",
}


def _differences(specs: list[CellSpec], fields: tuple[str, ...]) -> list[str]:
    """For every spec the settings in which these specs differ; hashes only where nothing else does."""
    flat = [_flat(spec.model_dump(mode="json")) for spec in specs]
    keys = sorted(
        {key for one in flat for key in one if key.startswith(fields) and key not in _TELLS_NOTHING}
    )
    varying = [key for key in keys if len({repr(one.get(key)) for one in flat}) > 1]
    telling = [key for key in varying if key not in _HASHES]
    if len({tuple(repr(one.get(key)) for key in telling) for one in flat}) < len(flat):
        telling = varying
    return [", ".join(f"{_short(key)}={_value(key, one)}" for key in telling) for one in flat]


def _short(key: str) -> str:
    """``responses_per_prompt`` for ``data.responses_per_prompt``."""
    return _CALLED.get(key) or key.rpartition(".")[2].removesuffix("_hash")


def _value(key: str, flat: Mapping[str, Any]) -> str:
    value = flat.get(key)
    if value is None:
        return "default"
    return str(value)[:8] if key in _HASHES else str(value)


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, dict):
            flat |= _flat(item, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = item
    return flat
