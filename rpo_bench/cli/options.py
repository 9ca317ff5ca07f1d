"""The flags that several verbs share, and how their text becomes parts of a spec."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from rpo_bench.errors import UserError
from rpo_bench.spec import RPO_PAPER_DECODING, Decoding, MethodSpec

F = TypeVar("F", bound=Callable[..., Any])

_METHOD = re.compile(r"\s*(?P<name>[\w.-]+)\s*(?:\((?P<options>[^()]*)\))?\s*(?:,|$)")


def flag(name: str, text: str, panel: str | None = None, **more: Any) -> Any:
    """A long option, in a panel of the help."""
    return typer.Option(name, help=text, rich_help_panel=panel, **more)


def with_flags(function: F) -> F:
    """Lets a command take its flags as frozen dataclasses: each becomes the options that its fields declare.

    A field's annotation is what typer would want of a parameter: ``Annotated[type, flag(…)]``.
    """
    hints = get_type_hints(function, include_extras=True)
    groups = {name: kind for name, kind in hints.items() if hasattr(kind, "__dataclass_fields__")}

    def command(**values: Any) -> Any:
        given = {
            name: kind(**{field.name: values.pop(field.name) for field in fields(kind)})
            for name, kind in groups.items()
        }
        return function(**given, **values)

    parameters = []
    for name, parameter in inspect.signature(function).parameters.items():
        if name not in groups:
            parameters.append(parameter.replace(annotation=hints[name], kind=parameter.KEYWORD_ONLY))
            continue
        inner = get_type_hints(groups[name], include_extras=True)
        parameters += [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=field.default,
                annotation=inner[field.name],
            )
            for field in fields(groups[name])
        ]
    command.__name__ = function.__name__
    command.__doc__ = function.__doc__
    command.__module__ = function.__module__
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command  # type: ignore[return-value]


@dataclass(frozen=True)
class TrainingFlags:
    """What is the same for every method."""

    steps: Annotated[int | None, flag("--steps", "Optimiser steps.", "Training", min=1)] = None
    batch_size: Annotated[int | None, flag("--batch-size", "Rows per optimiser step.", "Training", min=2)] = (
        None
    )
    micro_batch_size: Annotated[
        int | None,
        flag(
            "--micro-batch-size", "Rows per forward pass; saves memory, changes nothing.", "Training", min=1
        ),
    ] = None
    learning_rate: Annotated[
        float | None,
        flag("--learning-rate", "For every method; otherwise the task's or the method's own.", "Training"),
    ] = None
    warmup_steps: Annotated[
        int | None, flag("--warmup-steps", "Of the learning rate.", "Training", min=0)
    ] = None
    max_grad_norm: Annotated[
        float | None, flag("--max-grad-norm", "Gradients are clipped to it.", "Training")
    ] = None
    dtype: Annotated[
        str | None, flag("--dtype", "auto, float32 or bfloat16.", "Training", metavar="DTYPE")
    ] = None
    lora_rank: Annotated[
        int | None, flag("--lora-rank", "Train low-rank adapters of this rank.", "Training", min=1)
    ] = None
    lora_alpha: Annotated[
        float | None, flag("--lora-alpha", "Scale of the adapters; with --lora-rank.", "Training")
    ] = None
    probe_every: Annotated[
        int | None, flag("--probe-every", "Steps between probe rewards; 0: never.", "Training", min=0)
    ] = None
    save_every: Annotated[
        int | None,
        flag("--save-every", "Steps between checkpoints to resume from; 0: none.", "Training", min=0),
    ] = None
    report_to: Annotated[
        str | None, flag("--report-to", "Also log to these, e.g. tensorboard,wandb.", "Training")
    ] = None

    def changes(self) -> dict[str, Any]:
        """The fields of TrainingSpec that were given."""
        given = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}
        rank, alpha = given.pop("lora_rank", None), given.pop("lora_alpha", None)
        if alpha is not None and rank is None:
            raise UserError("--lora-alpha does nothing without --lora-rank: give both.")
        if rank is not None:
            given["lora"] = {"rank": rank, "alpha": 2.0 * rank if alpha is None else alpha}
        if "report_to" in given:
            given["report_to"] = split_list(given["report_to"])
        return given


@dataclass(frozen=True)
class EvaluationFlags:
    """How checkpoints are measured."""

    n_samples: Annotated[
        int | None, flag("--n-samples", "Samples per held-out prompt.", "Evaluation", min=1)
    ] = None
    limit: Annotated[
        int | None, flag("--limit", "Only the first so many held-out prompts.", "Evaluation", min=1)
    ] = None
    gen_kwargs: Annotated[
        str | None,
        flag(
            "--gen-kwargs",
            "Decoding, e.g. temperature=0.7,top_k=50,max_new_tokens=64, or preset=rpo-paper.",
            "Evaluation",
        ),
    ] = None
    eval_batch_size: Annotated[
        int | None, flag("--eval-batch-size", "Sequences sampled at a time.", "Evaluation", min=1)
    ] = None
    eval_seed: Annotated[int | None, flag("--eval-seed", "Of the sampling.", "Evaluation", min=0)] = None
    toxicity: Annotated[
        str | None, flag("--toxicity", "profanity, hf:MODEL_FOLDER or none.", "Evaluation")
    ] = None
    reward: Annotated[
        str | None,
        flag("--reward", "python:FILE:FUNCTION instead of the task's own reward.", "Evaluation"),
    ] = None

    def changes(self, decoding: dict[str, Any]) -> dict[str, Any]:
        """The fields of EvaluationSpec that were given; ``decoding`` is what --gen-kwargs changes."""
        names = {"eval_batch_size": "batch_size", "eval_seed": "seed"}
        given = {
            names.get(f.name, f.name): getattr(self, f.name)
            for f in fields(self)
            if getattr(self, f.name) is not None and f.name != "gen_kwargs"
        }
        if self.gen_kwargs is not None:
            given["decoding"] = parse_decoding(self.gen_kwargs, decoding)
        return given


@dataclass(frozen=True)
class TrustFlags:
    """What is refused unless asked for."""

    trust_remote_code: Annotated[
        bool, flag("--trust-remote-code", "Run code that a model folder brings along.", "Trust")
    ] = False
    allow_pickle: Annotated[
        bool, flag("--allow-pickle", "Load pickled weights, which can run code.", "Trust")
    ] = False


@dataclass(frozen=True)
class RunnerFlags:
    """Where and how the work is done; none of it changes a result."""

    workers: Annotated[
        int | None, flag("--workers", "Worker processes; as many as cores by default.", "Runner", min=1)
    ] = None
    threads: Annotated[int, flag("--threads", "Threads of torch per worker.", "Runner", min=1)] = 1
    output_path: Annotated[
        Path | None, flag("--output-path", "Where everything goes.", "Runner", metavar="DIR")
    ] = None
    include_path: Annotated[
        Path | None, flag("--include-path", "A folder of further tasks.", "Runner", metavar="DIR")
    ] = None
    quiet: Annotated[bool, flag("--quiet", "No progress.", "Runner")] = False


def parse_methods(text: str) -> list[MethodSpec]:
    """Methods with options out of ``sft,rpo(partition=leave_one_out,logp=mean)``."""
    found, position = [], 0
    while position < len(text):
        match = _METHOD.match(text, position)
        if match is None:
            raise UserError(
                f"--methods: '{text[position:].strip()}' is not understood; write e.g. sft,rpo(tau=0.3)."
            )
        found.append(MethodSpec(name=match["name"], options=_pairs(match["options"] or "", "--methods")))
        position = match.end()
    if not found:
        raise UserError("--methods names no method.")
    return found


def parse_strengths(text: str) -> dict[str, list[float]]:
    """Strengths by method out of ``rpo=0.3,1;kto=0.1``; a plain list is for all methods (``*``)."""
    found = {}
    for part in filter(None, map(str.strip, text.split(";"))):
        name, equals, values = part.rpartition("=")
        found[name.strip() if equals else "*"] = [_number(item, "--strengths") for item in split_list(values)]
    if not found or not all(found.values()):
        raise UserError(f"--strengths '{text}' has no number; write e.g. rpo=0.3,1;kto=0.1.")
    return found


def parse_seeds(text: str) -> list[int]:
    """Seeds out of ``0,1,2`` or ``0-4``."""
    seeds: list[int] = []
    for part in split_list(text):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise UserError(f"--seeds '{text}' is not understood; write e.g. 0,1,2 or 0-4.")
        seeds += range(int(first), int(last if dash else first) + 1)
    if not seeds:
        raise UserError(f"--seeds '{text}' has no seed; write e.g. 0,1,2 or 0-4.")
    return list(dict.fromkeys(seeds))


def parse_decoding(text: str, base: dict[str, Any]) -> dict[str, Any]:
    """Decoding settings out of ``temperature=0.7,top_k=50``, over ``base``; checked by the spec later."""
    pairs = _pairs(text, "--gen-kwargs")
    preset = pairs.pop("preset", None)
    if preset == "rpo-paper":
        base = {**RPO_PAPER_DECODING.model_dump(), "max_new_tokens": base.get("max_new_tokens")}
    elif preset == "ancestral":
        base = {**Decoding().model_dump(), "max_new_tokens": base.get("max_new_tokens")}
    elif preset is not None:
        raise UserError(f"--gen-kwargs: there is no preset '{preset}': choose rpo-paper or ancestral.")
    pairs["max_new_tokens"] = pairs.pop(
        "max_gen_toks", pairs.get("max_new_tokens", base.get("max_new_tokens"))
    )
    return {**base, **pairs}


def split_list(text: str) -> list[str]:
    """The non-empty parts between commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def _pairs(text: str, where: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in split_list(text):
        name, equals, value = part.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise UserError(f"{where}: '{part}' is not understood; write name=value.")
        found[name.strip()] = value.strip()
    return found


def _number(text: str, where: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f"{where}: '{text}' is not a number.") from None
