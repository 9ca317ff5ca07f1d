"""``rpo-bench reward-model``: trains a scalar reward model on scored responses or preference pairs."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rpo_bench.cli.column_flags import ColumnFlags
from rpo_bench.cli.console import print_facts
from rpo_bench.cli.making import OutputPath, check_target, loss_bar
from rpo_bench.cli.options import flag, with_flags
from rpo_bench.data.columns import flag_of
from rpo_bench.errors import UserError
from rpo_bench.files.plain_data import MAX_SEED

if TYPE_CHECKING:
    from rpo_bench.data.row import Row
    from rpo_bench.models.reward_record import RewardRecord
    from rpo_bench.models.reward_training import RewardData


@dataclass(frozen=True)
class SourceFlags(ColumnFlags):
    """The training data."""

    data: Annotated[
        str | None,
        flag(
            "--data",
            "Scored rows or preference pairs in any format that `data check` accepts.",
            "Data",
            metavar="FILE",
        ),
    ] = None
    task: Annotated[
        str | None, flag("--task", "A task by name or folder: train on its own rows.", "Data")
    ] = None
    include_path: Annotated[
        Path | None, flag("--include-path", "A folder with more tasks.", "Data", metavar="DIR")
    ] = None
    data_variant: Annotated[str, flag("--data-variant", "Which of the task's data sets.", "Data")] = (
        "on_policy"
    )
    split: Annotated[str | None, flag("--split", "Read only this split of --data.", "Data")] = None
    test_fraction: Annotated[
        float, flag("--test-fraction", "Share of the prompts held out to measure on.", "Data")
    ] = 0.1
    skip_bad_lines: Annotated[bool, flag("--skip-bad-lines", "Skip rows that can't be used.", "Data")] = False


@dataclass(frozen=True)
class FittingFlags:
    """Training settings."""

    steps: Annotated[int, flag("--steps", "Optimiser steps.", "Training", min=1)] = 300
    batch_size: Annotated[
        int,
        flag("--batch-size", "Prompts per optimiser step, each with all its responses.", "Training", min=2),
    ] = 16
    micro_batch_size: Annotated[
        int | None,
        flag(
            "--micro-batch-size",
            "Prompts per forward pass; saves memory, doesn't affect results.",
            "Training",
            min=1,
        ),
    ] = None
    learning_rate: Annotated[
        float | None, flag("--learning-rate", "Peak learning rate; 0.03 / width by default.", "Training")
    ] = None
    warmup_steps: Annotated[
        int, flag("--warmup-steps", "Warm-up steps of the learning rate.", "Training", min=0)
    ] = 20
    weight_decay: Annotated[float, flag("--weight-decay", "Weight decay of AdamW.", "Training", min=0)] = 0.01
    dtype: Annotated[
        str, flag("--dtype", "Number format: auto, float32 or bfloat16.", "Training", metavar="DTYPE")
    ] = "auto"
    seed: Annotated[
        int, flag("--seed", "Seed of weights, batches and held-out prompts.", "Training", min=0, max=MAX_SEED)
    ] = 0
    threads: Annotated[
        int,
        flag("--threads", "Threads of torch; they change the weights in the last bits.", "Training", min=1),
    ] = 1


@with_flags
def reward_model(
    model: Annotated[str, typer.Option(help="The base model: a folder, or one of the task's by name.")],
    out: OutputPath,
    source: SourceFlags,
    fitting: FittingFlags,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing model folder.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Train a reward model from scored responses or preference pairs.

    It learns which of two responses to a prompt is better (Bradley–Terry) and is evaluated on held-out
    prompts.
    """
    _check(source, fitting, out, overwrite)
    data, base = _materials(source, model, fitting.seed)

    import torch

    from rpo_bench.models.reward_training import train_reward_model
    from trainers.reward_model import RewardModelSettings

    torch.set_num_threads(fitting.threads)
    given = {name: value for name, value in vars(fitting).items() if name != "threads"}
    with loss_bar("training", fitting.steps, quiet) as tell:
        progress = None if tell is None else lambda step, row: tell(step, row["loss"])
        record = train_reward_model(data, base, RewardModelSettings(**given), out, progress=progress)
    _print(record, out)


def _check(source: SourceFlags, fitting: FittingFlags, out: Path, overwrite: bool) -> None:
    if (source.data is None) == (source.task is None):
        raise UserError("Give either --data FILE or --task NAME to train the reward model on.")
    if source.task is not None and source.columns:
        raise UserError(
            f"{flag_of(next(iter(source.columns)))} names a column of a file: give it with --data."
        )
    if not 0 < source.test_fraction < 1:
        raise UserError(f"--test-fraction {source.test_fraction:g}: it must be between 0 and 1.")
    if fitting.learning_rate is not None and not 0 < fitting.learning_rate < float("inf"):
        raise UserError(f"--learning-rate {fitting.learning_rate:g}: it must be a positive number.")
    if fitting.dtype not in ("auto", "float32", "bfloat16"):
        raise UserError(f"--dtype {fitting.dtype}: choose auto, float32 or bfloat16.")
    check_target(out, overwrite)


def _materials(source: SourceFlags, model: str, seed: int) -> "tuple[RewardData, Path]":
    """The split rows, and the base model's folder."""
    from rpo_bench.data.split import split_rows
    from rpo_bench.models.reward_training import RewardData

    rows, where, own = _rows(source, model)
    base = own.get(model, Path(model).expanduser())
    if not base.is_dir():
        raise UserError(f"--model {model}: there is no such folder, and the task has no model of that name.")
    split = split_rows(rows, source.test_fraction, seed)
    return RewardData(split.train, split.test, where), base


def _rows(source: SourceFlags, model: str) -> "tuple[list[Row], str, dict[str, Path]]":
    """All rows, their name, and the task's models."""
    from rpo_bench.data.readers import read_rows
    from rpo_bench.spec.schema import GivenTask
    from rpo_bench.tasks.task import load_task

    if source.data is not None:
        bad = "skip" if source.skip_bad_lines else "fail"
        rows = read_rows(source.data, split=source.split, on_bad=bad, columns=source.columns)  # type: ignore[arg-type]
        return rows, source.data, {}
    assert source.task is not None
    task = load_task(GivenTask(source.task), source.include_path)
    file = task.train_file(source.data_variant, model)
    own = {name: task.folder / folder for name, folder in task.spec.models.items()}
    return read_rows(file), f"{task.spec.name} ({source.data_variant})", own


def _print(record: "RewardRecord", out: Path) -> None:
    held = record.heldout
    accuracy = held.accuracy
    interval = "" if accuracy.low is None else f" [{accuracy.low:.3f}, {accuracy.high:.3f}]"
    measured_on = f"{held.prompts:,} prompts, {held.pairs:,} pairs"
    print_facts(
        {
            "trained on": f"{record.train_prompts:,} prompts, {record.train_pairs:,} pairs of {record.data}",
            "held-out accuracy": f"{accuracy.point:.3f}{interval} ({measured_on})",
            "log-loss": f"{held.log_loss:.3f} nats per pair (random: 0.693)",
            "calibration error": f"{held.calibration_error:.3f}",
            "saved": str(out),
            "use it with": f"--reward hf:{out} or --train-reward hf:{out}",
        }
    )
