"""The model card of a checkpoint: what it came from, how it was trained, what it scored, how to repeat it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from rpo_bench.atomic import atomic_file
from rpo_bench.hashing import CARD_MARK
from rpo_bench.results.schema import MetricValue, Record
from rpo_bench.spec import CellSpec

CARD = "README.md"


def write_card(
    checkpoint: Path, spec: CellSpec, command: str, record: Record | None = None, dataset: str | None = None
) -> None:
    """Writes ``README.md`` into a checkpoint folder, whole or not at all.

    Args:
        checkpoint: the folder; a README of somebody else's there is left alone.
        spec: what the checkpoint is.
        command: makes it again.
        record: its results, where it was measured.
        dataset: the name on the hub of what it was trained on.
    """
    file = checkpoint / CARD
    if not checkpoint.is_dir() or (file.is_file() and CARD_MARK not in file.read_text(encoding="utf-8")):
        return
    adapter = (checkpoint / "adapter_config.json").is_file()
    with atomic_file(file) as temporary:
        temporary.write_text(card_text(spec, command, record, dataset, adapter), encoding="utf-8")


def card_text(spec: CellSpec, command: str, record: Record | None, dataset: str | None, adapter: bool) -> str:
    """The card: YAML front matter as the hub reads it, then Markdown."""
    head = yaml.safe_dump(_metadata(spec, record, dataset, adapter), sort_keys=False, allow_unicode=True)
    strength = "untrained" if spec.strength is None else f"{spec.strength:g}"
    parts = [
        f"---\n{head}---\n{CARD_MARK}\n",
        f"# {spec.name}\n",
        f"`{spec.model}` trained by **{spec.method.label}** at strength {strength}, seed {spec.seed}, on "
        f"`{spec.task}` with [RPO-Bench](https://pypi.org/project/rpo-bench/).\n",
        _table("Data", {"task": spec.task, "dataset": dataset, **_flat(spec.data.model_dump(mode="json")),
                        "content hash": spec.data_hash[:16] or None}),
        _table("Training", {"method": spec.method.label, "strength": spec.strength, "seed": spec.seed,
                            **_flat(spec.training.model_dump(mode="json"))}),
        _results(record),
        f"## How to make it again\n\n```\n{command}\n```\n\nCell `{spec.hash}`.\n",
    ]  # fmt: skip
    return "\n".join(part for part in parts if part)


def _metadata(spec: CellSpec, record: Record | None, dataset: str | None, adapter: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if spec.model.count("/") == 1 and not Path(spec.model).exists():
        found["base_model"] = spec.model  # a name of the hub; folders mean nothing elsewhere
    if dataset is not None:
        found["datasets"] = [dataset]
    found |= {"library_name": "peft" if adapter else "transformers", "pipeline_tag": "text-generation"}
    found["tags"] = ["rpo-bench", spec.method.name, spec.task]
    values = {} if record is None else _points(record.metrics)
    if values:
        result = {
            "task": {"type": "text-generation"},
            "dataset": {"name": spec.task, "type": spec.task},
            "metrics": [{"type": name, "name": name, "value": value} for name, value in values.items()],
        }
        found["model-index"] = [{"name": spec.name, "results": [result]}]
    return found


def _points(metrics: Mapping[str, MetricValue]) -> dict[str, float]:
    return {name: one.interval.point for name, one in metrics.items() if one.interval.point is not None}


def _table(title: str, values: Mapping[str, Any]) -> str:
    rows = [f"| {name} | {value} |" for name, value in values.items() if value is not None and value != ""]
    return "\n".join([f"## {title}\n", "| | |", "|---|---|", *rows, ""])


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}.")
        elif value not in (None, [], False):
            found[f"{prefix}{name}"] = value
    return found


def _results(record: Record | None) -> str:
    if record is None:
        return "## Results\n\nNot measured yet: `rpo-bench eval CHECKPOINT` does.\n"
    if not record.metrics:
        return f"## Results\n\n{record.status}{'' if record.reason is None else f': {record.reason}'}\n"
    rows = []
    for name, one in record.metrics.items():
        gap = one.interval
        if gap.point is None:
            continue
        spread = "" if gap.low is None or gap.high is None else f"[{gap.low:.4g}, {gap.high:.4g}]"
        rows.append(f"| {name} | {gap.point:.4g} | {spread} | {gap.n} | {one.backend or ''} |")
    decoding = ", ".join(f"{k}={v}" for k, v in record.spec.evaluation.decoding.model_dump().items() if v)
    head = ["## Results\n", "| metric | value | 95 % interval | n | backend |", "|---|---|---|---|---|"]
    tail = f"\n{record.spec.evaluation.n_samples} samples per held-out prompt ({decoding}).\n"
    return "\n".join([*head, *rows, tail])
