"""The shared flags of data, training, models and runner, and the spec fields that they set."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

from rpo_bench.cli.column_flags import ColumnFlags
from rpo_bench.cli.options import flag
from rpo_bench.errors import UserError
from rpo_bench.spec.parsing import split_list
from rpo_bench.tasks.source import name_files


@dataclass(frozen=True)
class TrainingFlags:
    """Training settings, the same for every method."""

    steps: Annotated[int | None, flag("--steps", "Optimiser steps.", "Training", min=1)] = None
    batch_size: Annotated[int | None, flag("--batch-size", "Rows per optimiser step.", "Training", min=2)] = (
        None
    )
    micro_batch_size: Annotated[
        int | None,
        flag(
            "--micro-batch-size",
            "Rows per forward pass; saves memory, doesn't affect results.",
            "Training",
            min=1,
        ),
    ] = None
    learning_rate: Annotated[
        float | None,
        flag(
            "--learning-rate",
            "Learning rate of every method; by default the task's or the method's own.",
            "Training",
        ),
    ] = None
    warmup_steps: Annotated[
        int | None, flag("--warmup-steps", "Warm-up steps of the learning rate.", "Training", min=0)
    ] = None
    batches: Annotated[
        str | None,
        flag(
            "--batches",
            "uniform: random rows; by_length: rows sorted by length, as in version 0.1.",
            "Training",
            metavar="HOW",
        ),
    ] = None
    clipping: Annotated[
        str | None,
        flag(
            "--clipping",
            "Gradient clipping: relative to a method's own recent norms, none, or absolute (version 0.1).",
            "Training",
            metavar="HOW",
        ),
    ] = None
    max_grad_norm: Annotated[
        float | None, flag("--max-grad-norm", "Maximum norm for --clipping absolute.", "Training")
    ] = None
    dtype: Annotated[
        str | None, flag("--dtype", "Number format: auto, float32 or bfloat16.", "Training", metavar="DTYPE")
    ] = None
    lora_rank: Annotated[
        int | None, flag("--lora-rank", "Train low-rank adapters of this rank.", "Training", min=1)
    ] = None
    lora_alpha: Annotated[
        float | None, flag("--lora-alpha", "Scale of the adapters; needs --lora-rank.", "Training")
    ] = None
    probe_every: Annotated[
        int | None, flag("--probe-every", "Steps between probe rewards; 0: never.", "Training", min=0)
    ] = None
    save_every: Annotated[
        int | None,
        flag("--save-every", "Steps between checkpoints for resuming; 0: none.", "Training", min=0),
    ] = None
    report_to: Annotated[
        str | None,
        flag("--report-to", "Also log to tensorboard, wandb or trackio, separated by commas.", "Training"),
    ] = None
    wandb: Annotated[bool, flag("--wandb", "The same as --report-to wandb.", "Training", hidden=True)] = False
    train_reward: Annotated[
        str | None,
        flag(
            "--train-reward",
            "Training reward of online methods: gold, proxy, python:FILE:FUNCTION, hf:FOLDER, or a sum "
            "such as proxy*0.5+gold*0.5.",
            "Training",
        ),
    ] = None

    def changes(self) -> dict[str, Any]:
        """The fields of TrainingSpec that were given."""
        given = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}
        if given.pop("wandb"):
            given["report_to"] = f"{given.get('report_to', '')},wandb"
        rank, alpha = given.pop("lora_rank", None), given.pop("lora_alpha", None)
        if alpha is not None and rank is None:
            raise UserError("--lora-alpha needs --lora-rank: give both.")
        if rank is not None:
            given["lora"] = {"rank": rank, "alpha": 2.0 * rank if alpha is None else alpha}
        if "train_reward" in given:
            given["reward"] = given.pop("train_reward")
        if "report_to" in given:
            given["report_to"] = list(dict.fromkeys(split_list(given["report_to"])))
        return given


@dataclass(frozen=True)
class ModelFlags:
    """Settings of base models."""

    prompt_format: Annotated[
        str | None,
        flag(
            "--prompt-format",
            "Format of prompts: none, chat (the tokenizer's template), a .jinja chat template, or a text "
            "file with {prompt} in it. Required for models with a chat template.",
            "Models",
        ),
    ] = None
    system_prompt: Annotated[
        str | None, flag("--system-prompt", "System message of a chat format.", "Models", metavar="TEXT")
    ] = None
    model_dtype: Annotated[
        str | None,
        flag(
            "--model-dtype",
            "Number format of loaded weights: float32 (default), bfloat16 or float16; full training keeps "
            "float32.",
            "Models",
            metavar="DTYPE",
        ),
    ] = None
    device_map: Annotated[
        str | None,
        flag("--device-map", "Distributes a model over devices when measuring, e.g. auto.", "Models"),
    ] = None
    attn_implementation: Annotated[
        str | None, flag("--attn-implementation", "Attention: eager, sdpa, flash_attention_2 …", "Models")
    ] = None
    revision: Annotated[str | None, flag("--revision", "Branch, tag or commit of hub models.", "Models")] = (
        None
    )

    def changes(self) -> dict[str, Any]:
        """The fields of RunSpec that were given."""
        loading = {
            "dtype": self.model_dtype,
            "device_map": self.device_map,
            "attn_implementation": self.attn_implementation,
            "revision": self.revision,
        }
        given = {name: value for name, value in loading.items() if value is not None}
        formats = {"prompt_format": self.prompt_format, "system_prompt": self.system_prompt}
        found: dict[str, Any] = {name: value for name, value in formats.items() if value is not None}
        return found | ({"loading": given} if given else {})


@dataclass(frozen=True)
class TrustFlags:
    """Permissions, off by default."""

    trust_remote_code: Annotated[
        bool, flag("--trust-remote-code", "Allow code from model folders to run.", "Trust")
    ] = False
    allow_pickle: Annotated[
        bool, flag("--allow-pickle", "Allow pickled weights, which can run code.", "Trust")
    ] = False


@dataclass(frozen=True)
class RunnerFlags:
    """Workers and folders; they don't affect results."""

    workers: Annotated[
        int | None, flag("--workers", "Worker processes; by default one per core.", "Runner", min=1)
    ] = None
    threads: Annotated[int, flag("--threads", "Threads of torch per worker.", "Runner", min=1)] = 1
    output_path: Annotated[Path | None, flag("--output-path", "Output folder.", "Runner", metavar="DIR")] = (
        None
    )
    work_path: Annotated[
        Path | None,
        flag(
            "--work-path",
            "Folder for checkpoints and other intermediate files, <output-path>/work by default; runs with "
            "the same folder reuse them.",
            "Runner",
            metavar="DIR",
        ),
    ] = None
    quiet: Annotated[bool, flag("--quiet", "Show no progress.", "Runner")] = False


@dataclass(frozen=True)
class LongFlags:
    """What to do with rows and held-out prompts that don't fit the model's context."""

    truncate: Annotated[
        bool,
        flag("--truncate", "Truncate rows and prompts that don't fit the model's context.", "Task and data"),
    ] = False
    drop_long: Annotated[
        bool,
        flag("--drop-long", "Drop rows and prompts that don't fit the model's context.", "Task and data"),
    ] = False

    @property
    def long(self) -> str | None:
        """The field ``data.long``; None without either flag."""
        if self.truncate and self.drop_long:
            raise UserError("--truncate and --drop-long exclude each other: give one of them.")
        return "truncate" if self.truncate else "drop" if self.drop_long else None


@dataclass(frozen=True)
class DataFlags(ColumnFlags, LongFlags):
    """The task and the training data."""

    task: Annotated[
        str | None, flag("--task", "A task by name or folder.", "Task and data", aliases=("--tasks",))
    ] = None
    include_path: Annotated[
        Path | None, flag("--include-path", "A folder with more tasks.", "Task and data", metavar="DIR")
    ] = None
    data: Annotated[
        str | None,
        flag(
            "--data",
            "Train on this file of (prompt, response, reward) rows; without --task, some of its prompts are "
            "held out for evaluation.",
            "Task and data",
            metavar="FILE",
        ),
    ] = None
    data_files: Annotated[
        str | None,
        flag(
            "--data-files",
            "Read splits of the task's dataset from these files: train=FILE,test=FILE.",
            "Task and data",
            metavar="SPLIT=FILE,…",
        ),
    ] = None
    data_variant: Annotated[
        str | None, flag("--data-variant", "Which of the task's own data sets.", "Task and data")
    ] = None
    responses_per_prompt: Annotated[
        int | None,
        flag(
            "--responses-per-prompt", "Use only the first N responses of each prompt.", "Task and data", min=1
        ),
    ] = None
    split: Annotated[str | None, flag("--split", "Read only this split of --data.", "Task and data")] = None
    test_fraction: Annotated[
        float | None, flag("--test-fraction", "Share of the prompts of --data to hold out.", "Task and data")
    ] = None
    skip_bad_lines: Annotated[
        bool, flag("--skip-bad-lines", "Skip rows that can't be used.", "Task and data")
    ] = False

    def changes(self) -> dict[str, Any]:
        """The fields of DataSpec that were given."""
        if self.data_files is not None:
            name_files(self.data_files)
        values = {
            "file": self.data,
            "variant": self.data_variant,
            "responses_per_prompt": self.responses_per_prompt,
            "split": self.split,
            "test_fraction": self.test_fraction,
            "skip_bad": self.skip_bad_lines or None,
            "columns": self.columns or None,
            "long": self.long,
        }
        return {name: value for name, value in values.items() if value is not None}
