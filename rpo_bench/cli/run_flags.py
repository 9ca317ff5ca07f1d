"""The flags of data, training, models and runner that verbs share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from rpo_bench.cli.column_flags import ColumnFlags
from rpo_bench.cli.options import flag
from rpo_bench.cli.spec_flags import spec_flag
from rpo_bench.errors import UserError
from rpo_bench.spec.parsing import split_list
from rpo_bench.tasks.source import name_files


def gpus_flag(panel: str) -> Any:
    """``--gpus-per-cell`` in a panel of the help."""
    text = "GPUs that a cell's model trains on, which no other cell has; without GPUs, processes."
    return flag("--gpus-per-cell", text, panel, min=1)


def parallel_flag(panel: str) -> Any:
    """``--parallel`` in a panel of the help."""
    text = (
        "Whether these GPUs each keep all weights (replicated) or a part of them (sharded); auto: all, where "
        "training takes at most half of a GPU."
    )
    return flag("--parallel", text, panel, metavar="auto|replicated|sharded")


@dataclass(frozen=True)
class TrainingFlags:
    """Training settings, the same for every method."""

    steps: Annotated[int | None, spec_flag("--steps")] = None
    batch_size: Annotated[int | None, spec_flag("--batch-size")] = None
    micro_batch_size: Annotated[int | None, spec_flag("--micro-batch-size")] = None
    tokens_per_micro_batch: Annotated[int | None, spec_flag("--tokens-per-micro-batch")] = None
    gradient_checkpointing: Annotated[bool, spec_flag("--gradient-checkpointing")] = False
    learning_rate: Annotated[float | None, spec_flag("--learning-rate")] = None
    warmup_steps: Annotated[int | None, spec_flag("--warmup-steps")] = None
    optim: Annotated[str | None, spec_flag("--optim")] = None
    rollouts: Annotated[str | None, spec_flag("--rollouts")] = None
    weight_decay: Annotated[float | None, spec_flag("--weight-decay")] = None
    adam_betas: Annotated[str | None, spec_flag("--adam-betas")] = None
    batches: Annotated[str | None, spec_flag("--batches")] = None
    clipping: Annotated[str | None, spec_flag("--clipping")] = None
    max_grad_norm: Annotated[float | None, spec_flag("--max-grad-norm")] = None
    dtype: Annotated[str | None, spec_flag("--dtype")] = None
    lora_rank: Annotated[int | None, spec_flag("--lora-rank")] = None
    lora_alpha: Annotated[float | None, spec_flag("--lora-alpha")] = None
    probe_every: Annotated[int | None, spec_flag("--probe-every")] = None
    save_every: Annotated[int | None, spec_flag("--save-every")] = None
    keep_checkpoints: Annotated[str | None, spec_flag("--keep-checkpoints")] = None
    report_to: Annotated[str | None, spec_flag("--report-to")] = None
    wandb: Annotated[bool, flag("--wandb", "The same as --report-to wandb.", "Training", hidden=True)] = False
    train_reward: Annotated[str | None, spec_flag("--train-reward")] = None

    def further(self) -> dict[str, Any]:
        """What --wandb and the adapters' default scale change."""
        found: dict[str, Any] = {}
        if self.lora_alpha is not None and self.lora_rank is None:
            raise UserError("--lora-alpha needs --lora-rank: give both.")
        if self.lora_rank is not None and self.lora_alpha is None:
            found["lora"] = {"rank": self.lora_rank, "alpha": 2.0 * self.lora_rank}
        if self.wandb:
            found["report_to"] = list(dict.fromkeys([*split_list(self.report_to or ""), "wandb"]))
        return {"training": found} if found else {}


@dataclass(frozen=True)
class ModelFlags:
    """Settings of base models."""

    prompt_format: Annotated[str | None, spec_flag("--prompt-format")] = None
    system_prompt: Annotated[str | None, spec_flag("--system-prompt")] = None
    model_dtype: Annotated[str | None, spec_flag("--model-dtype")] = None
    quantization: Annotated[str | None, spec_flag("--quantization")] = None
    device_map: Annotated[str | None, spec_flag("--device-map")] = None
    attn_implementation: Annotated[str | None, spec_flag("--attn-implementation")] = None
    revision: Annotated[str | None, spec_flag("--revision")] = None


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
        int | None,
        flag("--workers", "Worker processes; by default one per GPU, or per core.", "Runner", min=1),
    ] = None
    threads: Annotated[int, flag("--threads", "Threads of torch per worker.", "Runner", min=1)] = 1
    gpus_per_cell: Annotated[int, gpus_flag("Runner")] = 1
    parallel: Annotated[str, parallel_flag("Runner")] = "auto"
    output_path: Annotated[Path | None, flag("--output-path", "Output folder.", "Runner", metavar="DIR")] = (
        None
    )
    work_path: Annotated[
        Path | None,
        flag(
            "--work-path",
            "Folder for checkpoints and other intermediate files, <output-path>/work by "
            "default; runs with the same folder reuse them.",
            "Runner",
            metavar="DIR",
        ),
    ] = None
    quiet: Annotated[bool, flag("--quiet", "Show no progress.", "Runner")] = False


@dataclass(frozen=True)
class LongFlags:
    """What to do with rows and held-out prompts that don't fit the model's context."""

    truncate: Annotated[bool, spec_flag("--truncate")] = False
    drop_long: Annotated[bool, spec_flag("--drop-long")] = False
    max_length: Annotated[int | None, spec_flag("--max-length")] = None


@dataclass(frozen=True)
class DataFlags(ColumnFlags, LongFlags):
    """The task and the training data."""

    task: Annotated[str | None, spec_flag("--task")] = None
    include_path: Annotated[
        Path | None, flag("--include-path", "A folder with more tasks.", "Task and data", metavar="DIR")
    ] = None
    data: Annotated[str | None, spec_flag("--data")] = None
    data_files: Annotated[
        str | None,
        flag(
            "--data-files",
            "Read splits of the task's dataset from these files: train=FILE,test=FILE.",
            "Task and data",
            metavar="SPLIT=FILE,…",
        ),
    ] = None
    data_variant: Annotated[str | None, spec_flag("--data-variant")] = None
    responses_per_prompt: Annotated[int | None, spec_flag("--responses-per-prompt")] = None
    split: Annotated[str | None, spec_flag("--split")] = None
    test_fraction: Annotated[float | None, spec_flag("--test-fraction")] = None
    skip_bad_lines: Annotated[bool, spec_flag("--skip-bad-lines")] = False

    def further(self) -> dict[str, Any]:
        """Nothing of the spec: --data-files says where the task's dataset is."""
        if self.data_files is not None:
            name_files(self.data_files)
        return {}
