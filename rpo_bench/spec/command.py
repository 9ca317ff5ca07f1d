"""The command line that reproduces one row of the results."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rpo_bench.spec.schema import CellSpec, DataSpec, Decoding, EvaluationSpec, LoadingSpec, TrainingSpec
from rpo_bench.spec.trust import Trust

_TRAINING = (
    "steps", "batch_size", "micro_batch_size", "learning_rate", "warmup_steps", "max_grad_norm", "dtype",
    "probe_every", "save_every",
)  # fmt: skip
_EVALUATION = {
    "prompts": "eval-prompts", "n_samples": "n-samples", "limit": "limit", "batch_size": "eval-batch-size",
    "seed": "eval-seed", "toxicity": "toxicity", "reward": "reward",
}  # fmt: skip


@dataclass(frozen=True)
class Given:
    """What flags were given that isn't part of a cell's identity.

    Attributes:
        task: ``--task``; "" for a task made of ``--data``.
        model: ``--models``, or ``--reference`` of ``eval``.
        include_path: ``--include-path``.
        trust: what was allowed.
        prompt_format: ``--prompt-format``.
        data_files: ``--data-files``; "" without.
        long: what becomes of what doesn't fit a context, as ``DataSpec`` has it.
    """

    task: str
    model: str
    include_path: Path | None
    trust: Trust
    prompt_format: str | None = None
    data_files: str = ""
    long: str = "fail"


def train_and_eval_command(spec: CellSpec, given: Given) -> str:
    """The ``train-and-eval`` that runs this one cell, whatever the presets of later versions say.

    The reference policy's own cell comes with any run on its model.
    """
    parts = ["rpo-bench", "train-and-eval"]
    parts += _options({"task": given.task or None, "include-path": given.include_path, "models": given.model})
    parts += _options({"data-files": given.data_files or None})
    if spec.strength is not None:
        strength = repr(spec.strength).removesuffix(".0")
        parts += ["--methods", spec.method.label, "--strengths", strength]
    parts += ["--seeds", str(spec.seed), *_data(spec.data), *_training(spec.training)]
    parts += [*_evaluation(spec.evaluation), *_models(spec, given), *_trust(given.trust)]
    return shlex.join([*parts, *_protocol(spec)])


def eval_command(spec: CellSpec, checkpoint: str, given: Given) -> str:
    """The ``eval`` that measures this one checkpoint."""
    parts = ["rpo-bench", "eval", checkpoint]
    parts += _options({"task": given.task, "include-path": given.include_path, "reference": given.model})
    parts += [*_options({"data-files": given.data_files or None}), *_long(given.long)]
    parts += [*_evaluation(spec.evaluation), *_models(spec, given), *_trust(given.trust)]
    return shlex.join(parts)


def _long(long: str) -> list[str]:
    return {"truncate": ["--truncate"], "drop": ["--drop-long"]}.get(long, [])


def _models(spec: CellSpec, given: Given) -> list[str]:
    loading, default = spec.loading, LoadingSpec()
    generation = spec.generation
    settings = getattr(generation, generation.backend, None)
    changed = {} if settings is None else settings.model_dump(exclude_defaults=True)
    return _options(
        {
            "generation-backend": None if generation.backend == "hf" else generation.backend,
            "generation-args": ",".join(f"{name}={value}" for name, value in changed.items()) or None,
            "prompt-format": given.prompt_format,
            "system-prompt": None if spec.prompt_format is None else spec.prompt_format.system,
            "model-dtype": loading.dtype if loading.dtype != default.dtype else None,
            "device-map": loading.device_map,
            "attn-implementation": loading.attn_implementation,
            "revision": loading.revision,
        }
    )


def _trust(trust: Trust) -> list[str]:
    flags = {"--trust-remote-code": trust.trust_remote_code, "--allow-pickle": trust.allow_pickle}
    return [flag for flag, allowed in flags.items() if allowed]


def _data(data: DataSpec) -> list[str]:
    default = DataSpec()
    values = {
        "data": data.file,
        **{f"{name}-column": theirs for name, theirs in data.columns.items()},
        "split": data.split,
        "data-variant": data.variant if data.variant != default.variant else None,
        "responses-per-prompt": data.responses_per_prompt,
        "test-fraction": data.test_fraction if data.test_fraction != default.test_fraction else None,
    }
    skip = ["--skip-bad-lines"] if data.skip_bad else []
    return [*_options(values), *skip, *_long(data.long)]


def _training(training: TrainingSpec) -> list[str]:
    values = {name.replace("_", "-"): getattr(training, name) for name in _TRAINING}
    if training.clipping != "absolute":
        del values["max-grad-norm"]
    values["train-reward"] = None if training.reward == TrainingSpec().reward else training.reward
    if training.lora is not None:
        values |= {"lora-rank": training.lora.rank, "lora-alpha": training.lora.alpha}
    return _options(values)


def _protocol(spec: CellSpec) -> list[str]:
    """How batches are drawn and gradients clipped, where it isn't the default."""
    if spec.strength is None:
        return []
    default = TrainingSpec()
    values = {name: getattr(spec.training, name) for name in ("batches", "clipping")}
    return _options({n: None if v == getattr(default, n) else v for n, v in values.items()})


def _evaluation(evaluation: EvaluationSpec) -> list[str]:
    values = {flag: getattr(evaluation, name) for name, flag in _EVALUATION.items()}
    if evaluation.prompts == "test":
        del values["eval-prompts"]
    default = Decoding().model_dump()
    changed = {k: v for k, v in evaluation.decoding.model_dump().items() if v != default[k]}
    if changed:
        values["gen-kwargs"] = ",".join(f"{key}={value}" for key, value in changed.items())
    return _options(values)


def _options(values: Mapping[str, Any]) -> list[str]:
    return [part for name, value in values.items() if value is not None for part in (f"--{name}", str(value))]
