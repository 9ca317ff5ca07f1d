"""The command line that reproduces one row of the results."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rpo_bench.spec.flags import flags_of, value_at
from rpo_bench.spec.schema import CellSpec
from rpo_bench.spec.trust import Trust

#: The parts of a spec for measuring checkpoints.
_MEASURED = ("evaluation", "generation", "prompt_format", "system_prompt", "loading")


@dataclass(frozen=True)
class Given:
    """Given flags that aren't part of a cell's identity.

    Attributes:
        task: ``--task``; "" for a task made from ``--data``.
        model: ``--models``, or ``--reference`` of ``eval``.
        include_path: ``--include-path``.
        trust: permissions for loading models.
        prompt_format: ``--prompt-format``.
        data_files: ``--data-files``; "" without.
        long: how rows and prompts that are too long are handled, as in ``DataSpec``.
        max_length: ``--max-length``.
    """

    task: str
    model: str
    include_path: Path | None
    trust: Trust
    prompt_format: str | None = None
    data_files: str = ""
    long: str = "fail"
    max_length: int | None = None


def train_and_eval_command(spec: CellSpec, given: Given) -> str:
    """The ``train-and-eval`` command for this cell, independent of the presets of later versions.

    The reference policy's own cell is part of any run on its model.
    """
    parts = ["rpo-bench", "train-and-eval", *_task(given), *_options({"models": given.model})]
    if spec.strength is not None:
        strength = repr(spec.strength).removesuffix(".0")
        parts += ["--methods", spec.method.label, "--strengths", strength]
    parts += ["--seeds", str(spec.seed), *_fields(spec, given, ("data", "training", *_MEASURED))]
    return shlex.join([*parts, *_trust(given.trust)])


def eval_command(spec: CellSpec, checkpoint: str, given: Given) -> str:
    """The ``eval`` command for this checkpoint."""
    parts = ["rpo-bench", "eval", checkpoint, *_task(given), *_options({"reference": given.model})]
    parts += [word for one in flags_of("data") if one.field == "data.long" for word in one.words(given.long)]
    parts += _options({"max-length": given.max_length})
    return shlex.join([*parts, *_fields(spec, given, _MEASURED), *_trust(given.trust)])


def _task(given: Given) -> list[str]:
    files = given.data_files or None
    return _options({"task": given.task or None, "include-path": given.include_path, "data-files": files})


def _trust(trust: Trust) -> list[str]:
    flags = {"--trust-remote-code": trust.trust_remote_code, "--allow-pickle": trust.allow_pickle}
    return [flag for flag, allowed in flags.items() if allowed]


def _fields(spec: CellSpec, given: Given, parts: Sequence[str]) -> list[str]:
    """The flags of fields that aren't at their defaults, or whose defaults may change."""
    found: list[str] = []
    for one in flags_of(*parts):
        value = _value(spec, given, one.field)
        if value is not None and (one.pinned or value != one.default):
            found += one.words(value)
            if one.field == "generation.backend":
                found += _backend_settings(spec)
    return found


def _backend_settings(spec: CellSpec) -> list[str]:
    changed = getattr(spec.generation, spec.generation.backend).model_dump(exclude_defaults=True)
    return ["--generation-args", _pairs(changed)] if changed else []


def _value(spec: CellSpec, given: Given, field: str) -> Any:
    """A cell's value of a run's field; None if it has none, or if it has no effect."""
    match field:
        case "prompt_format":
            return given.prompt_format
        case "system_prompt":
            return None if spec.prompt_format is None else spec.prompt_format.system
        case "evaluation.decoding":
            return _pairs(spec.evaluation.decoding.model_dump(exclude_defaults=True)) or None
        case "training.report_to":
            return None
        case "training.max_grad_norm" if spec.training.clipping != "absolute":
            return None
        case "training.batches" | "training.clipping" if spec.strength is None:
            return None
    return value_at(spec, field)


def _pairs(settings: Mapping[str, Any]) -> str:
    return ",".join(f"{name}={value}" for name, value in settings.items())


def _options(values: Mapping[str, Any]) -> list[str]:
    return [part for name, value in values.items() if value is not None for part in (f"--{name}", str(value))]
