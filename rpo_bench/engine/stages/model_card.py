"""The model card of a checkpoint: base model, training, scores, and the command to reproduce it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from rpo_bench.files.atomic import atomic_file
from rpo_bench.files.hashing import CARD_MARK
from rpo_bench.models.hub import shown_name
from rpo_bench.results.schema import MetricValue, Record
from rpo_bench.spec.schema import CellSpec

CARD = "README.md"
ADAPTER = "adapter_config.json"


def write_card(
    checkpoint: Path, spec: CellSpec, command: str, record: Record | None = None, dataset: str | None = None
) -> None:
    """Writes ``README.md`` into a checkpoint folder, atomically.

    Args:
        checkpoint: the folder; a README that RPO-Bench didn't write is kept.
        spec: the checkpoint's cell.
        command: the command that reproduces it.
        record: its results, if it was measured.
        dataset: the name of its training data on the hub.
    """
    file = checkpoint / CARD
    if not checkpoint.is_dir() or (file.is_file() and CARD_MARK not in file.read_text(encoding="utf-8")):
        return
    with atomic_file(file) as temporary:
        temporary.write_text(card_text(checkpoint, spec, command, record, dataset), encoding="utf-8")


def card_text(
    checkpoint: Path, spec: CellSpec, command: str, record: Record | None, dataset: str | None
) -> str:
    """The card: YAML front matter for the hub, then Markdown."""
    adapter = (checkpoint / ADAPTER).is_file()
    head = yaml.safe_dump(_metadata(spec, record, dataset, adapter), sort_keys=False, allow_unicode=True)
    parts = [
        f"---\n{head}---\n{CARD_MARK}\n",
        f"# {spec.name}\n",
        f"`{hub_name(spec) or spec.model}` trained by **{spec.method.label}** at "
        f"{_strength(spec, record)}, seed {spec.seed}, on `{spec.task}` with [RPO-Bench](https://pypi.org/project/rpo-bench/).\n",
        _step(checkpoint, spec),
        _use(checkpoint, spec),
        _table("Data", _data(spec, dataset)),
        _table("Training", _training(spec)),
        _results(record),
        f"## How to reproduce it\n\n```\n{command}\n```\n\nCell `{spec.hash}`.\n",
    ]
    return "\n".join(part for part in parts if part)


def hub_name(spec: CellSpec) -> str | None:
    """The base model's name on the hub; None for a local folder."""
    name, commit, _ = shown_name(Path(spec.model_path)).partition("@")
    return name if commit else None


def _strength(spec: CellSpec, record: Record | None) -> str:
    if spec.strength is None:
        return "no strength"
    name = record.strength_name if record is not None and record.strength_name else "strength"
    return f"{name} = {spec.strength:g}"


def _step(checkpoint: Path, spec: CellSpec) -> str:
    """Says of a checkpoint that ``--keep-checkpoints`` kept that its training went on."""
    _, _, step = checkpoint.name.partition("step-")
    return f"It is the policy after step {step} of {spec.training.steps}.\n" if step else ""


def _use(checkpoint: Path, spec: CellSpec) -> str:
    """The code that loads the checkpoint, and its prompt format."""
    if (checkpoint / ADAPTER).is_file():
        seq2seq = _json(checkpoint / ADAPTER).get("task_type") == "SEQ_2_SEQ_LM"
        package, auto = "peft", "AutoPeftModelForSeq2SeqLM" if seq2seq else "AutoPeftModelForCausalLM"
    else:
        seq2seq = bool(_json(checkpoint / "config.json").get("is_encoder_decoder"))
        package, auto = "transformers", "AutoModelForSeq2SeqLM" if seq2seq else "AutoModelForCausalLM"
    code = [
        *(
            [f"from peft import {auto}", "from transformers import AutoTokenizer"]
            if package == "peft"
            else []
        ),
        *([f"from transformers import {auto}, AutoTokenizer"] if package != "peft" else []),
        "",
        'folder = "."  # the folder of this file, or its name on the hub',
        f"model, tokenizer = {auto}.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)",
    ]
    return "\n".join(["## How to use it\n", "```python", *code, "```\n", _format(spec), ""])


def _format(spec: CellSpec) -> str:
    form = spec.prompt_format
    if form is None:
        return "Prompts are used as they are, without a template."
    if form.kind == "chat":
        whose = "the tokenizer's chat template" if form.template is None else "a chat template of its own"
        system = "" if form.system is None else f", after this system prompt: {form.system}"
        return f"A prompt is the user's turn in {whose}{system}."
    return f"Prompts are written in this template:\n\n```\n{form.template}\n```"


def _data(spec: CellSpec, dataset: str | None) -> dict[str, Any]:
    own = _flat(spec.data.model_dump(mode="json"))
    if spec.data.file is None:
        own.pop("test_fraction", None)  # of a file alone
    return {"task": spec.task, "dataset": dataset, **own, "content hash": spec.data_hash[:16] or None}


def _training(spec: CellSpec) -> dict[str, Any]:
    settings = _flat(spec.training.model_dump(mode="json"))
    if spec.world_hash is None:
        settings.pop("reward", None)  # offline methods learn from the rewards in their data
    base = {"base model": hub_name(spec) or spec.model, "its commit": spec.loading.revision}
    known = {**base, "its content hash": spec.model_hash[:16]}
    return {**known, "method": spec.method.label, "strength": spec.strength, "seed": spec.seed, **settings}


def _json(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def _metadata(spec: CellSpec, record: Record | None, dataset: str | None, adapter: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if hub_name(spec) is not None:
        found["base_model"] = hub_name(spec)
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
