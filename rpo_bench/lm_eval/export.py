"""Exports results in lm-eval's format: ``results_….json`` and ``samples_TASK_….jsonl`` per checkpoint."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rpo_bench.files.atomic import atomic_folder
from rpo_bench.files.hashing import hash_json, short_name
from rpo_bench.files.json_lines import write_json_lines
from rpo_bench.lm_eval.schema import PARTS, SCORE, TAX
from rpo_bench.lm_eval.stored import read_parts
from rpo_bench.results.samples import ScoreLine, StoredSample, prompt_means
from rpo_bench.results.schema import MetricValue, Record
from rpo_bench.results.store import SAMPLES_FILE, SCORES_FILE, StoredRecord, read_samples, read_scores

#: lm-eval's value for a missing standard error.
NOT_KNOWN = "N/A"

_DATE = "stored"  # in place of lm-eval's time stamp, so that equal results are equal files


@dataclass(frozen=True)
class Exported:
    """The exported files of one result."""

    folder: Path
    tasks: tuple[str, ...]


def export_lm_eval(stored: StoredRecord, into: Path) -> Exported:
    """Writes a result in the format of ``lm-eval --output_path INTO --log_samples``.

    RPO-Bench's own measures are under the task's name, with the filter "none"; those of lm-eval's tasks are
    unchanged. A standard error is that of the mean over prompts, and "N/A" for other measures.

    Args:
        stored: The result.
        into: The target; a folder ``TASK__MODEL__CELL`` is created there, replacing an existing one.

    Raises:
        UserError: A file of the result can't be read.
    """
    record = stored.record
    samples = read_samples(stored.folder) if (stored.folder / SAMPLES_FILE).is_file() else []
    lines = read_scores(stored.folder) if (stored.folder / SCORES_FILE).is_file() else []
    value = _results(record, read_parts(stored.folder), lines, samples)
    name = "__".join((record.spec.task, record.spec.model, record.spec.name)).replace("/", "_")
    target = into / short_name(name)
    with atomic_folder(target) as folder:
        text = json.dumps(value, indent=2, ensure_ascii=False)
        (folder / f"results_{_DATE}.json").write_text(text + "\n", encoding="utf-8")
        if samples:
            file = folder / f"samples_{short_name(record.spec.task.replace('/', '_'))}_{_DATE}.jsonl"
            write_json_lines(file, list(_sample_lines(samples, lines)))
    return Exported(target, tuple(value["results"]))


def _results(
    record: Record,
    parts: dict[str, dict[str, Any]],
    lines: Sequence[ScoreLine],
    samples: Sequence[StoredSample],
) -> dict[str, Any]:
    task = record.spec.task
    own = {name: value for name, value in record.metrics.items() if not name.startswith((SCORE, TAX))}
    documents = len({sample.prompt_id for sample in samples})
    mine = {
        "results": {"alias": task, "name": task, "sample_len": documents, **_numbers(own, lines)},
        "configs": record.spec.model_dump(mode="json") | {"task": task, "output_type": "generate_until"},
        "versions": record.spec.task_hash[:12],
        "n-shot": 0,
        "higher_is_better": {name: value.higher_is_better for name, value in own.items()},
        "n-samples": {"original": documents, "effective": documents},
    }
    found: dict[str, Any] = {part: {task: mine[part], **parts[part]} for part in PARTS}
    evaluation, packages = record.spec.evaluation, record.environment.packages
    return found | {
        "group_subtasks": {name: [] for name in found["results"]},
        "config": {
            "model": "hf",
            "model_args": {"pretrained": record.spec.name, "base": record.spec.model},
            "batch_size": evaluation.batch_size,
            "device": record.environment.device,
            "limit": evaluation.limit,
            "gen_kwargs": evaluation.decoding.model_dump(mode="json"),
            "random_seed": evaluation.seed,
        },
        "git_hash": record.environment.git_commit,
        "transformers_version": packages.get("transformers"),
        "lm_eval_version": packages.get("lm-eval"),
        "model_source": "hf",
        "model_name": record.spec.name,
        "model_name_sanitized": record.spec.name,
        "task_hashes": {task: record.hashes.get("prompts", "")},
        "rpo_bench": {"cell": record.cell, "command": record.command, "extra": record.extra},
    }


def _numbers(metrics: dict[str, MetricValue], lines: Sequence[ScoreLine]) -> dict[str, Any]:
    """``name,none`` and ``name_stderr,none`` of every metric with a value."""
    by_prompt = prompt_means(list(lines))
    found: dict[str, Any] = {}
    for name, value in metrics.items():
        point = value.interval.point
        if point is None:
            continue
        scores = np.array(list(by_prompt.get(name, {}).values()))
        mean = len(scores) > 1 and math.isclose(float(scores.mean()), point, rel_tol=1e-6, abs_tol=1e-6)
        found[f"{name},none"] = point
        found[f"{name}_stderr,none"] = float(scores.std(ddof=1) / len(scores) ** 0.5) if mean else NOT_KNOWN
    return found


def _sample_lines(samples: Sequence[StoredSample], lines: Sequence[ScoreLine]) -> Iterator[dict[str, Any]]:
    """One line per response, in the format of ``--log_samples``."""
    scores = {(line.prompt_id, line.sample): line.scores for line in lines}
    places = {name: place for place, name in enumerate(dict.fromkeys(sample.prompt_id for sample in samples))}
    for sample in samples:
        found = {k: v for k, v in scores.get((sample.prompt_id, sample.sample), {}).items() if v is not None}
        doc = {"prompt_id": sample.prompt_id, "prompt": sample.prompt, "sample": sample.sample}
        yield {
            "doc_id": places[sample.prompt_id],
            "doc": doc,
            "target": "",
            "arguments": {"gen_args_0": {"arg_0": sample.prompt, "arg_1": {}}},
            "resps": [[sample.text]],
            "filtered_resps": [sample.text],
            "filter": "none",
            "metrics": sorted(found),
            "doc_hash": hash_json(doc),
            "prompt_hash": hash_json(sample.prompt),
            "target_hash": hash_json(""),
            **found,
        }
