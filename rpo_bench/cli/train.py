"""``rpo-bench train``: one method, one strength, one seed, one checkpoint."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rpo_bench.cli.console import err, out, say, say_notes
from rpo_bench.cli.knobs import KnobFlags
from rpo_bench.cli.making import advance
from rpo_bench.cli.options import flag, with_flags
from rpo_bench.cli.run_flags import (
    DataFlags,
    ModelFlags,
    TrainingFlags,
    TrustFlags,
    gpus_flag,
    parallel_flag,
)
from rpo_bench.cli.spec_flags import build_spec, spec_changes
from rpo_bench.engine.output import difference, flat, read_yaml
from rpo_bench.errors import UserError
from rpo_bench.files.plain_data import MAX_SEED
from rpo_bench.spec.parsing import method_settings
from rpo_bench.spec.schema import with_first_protocol
from rpo_bench.spec.sections import without_neutral

if TYPE_CHECKING:
    from rpo_bench.engine.work import CellWork
    from rpo_bench.spec.schema import RunSpec
    from trainers.settings import FitResult

_LINE_EVERY = 30.0  # seconds between two lines without a terminal


@dataclass(frozen=True)
class CheckpointFlags:
    """The checkpoint to train."""

    method: Annotated[
        str, flag("--method", 'A method, e.g. rpo or "rpo(partition=leave_one_out)".', "What to train")
    ]
    strength: Annotated[
        float | None,
        flag(
            "--strength",
            "Strength of the method: its τ, β or k; the method's default otherwise.",
            "What to train",
        ),
    ] = None
    seed: Annotated[int, flag("--seed", "Seed of the batches.", "What to train", min=0, max=MAX_SEED)] = 0
    model: Annotated[
        str, flag("--model", "The base model: one of the task's by name, or a folder.", "What to train")
    ] = "decoder"
    reward: Annotated[
        str | None,
        flag(
            "--reward",
            "Gold reward instead of the task's: python:FILE:FUNCTION or hf:FOLDER.",
            "What to train",
        ),
    ] = None
    gen_kwargs: Annotated[
        str | None,
        flag(
            "--gen-kwargs",
            "max_new_tokens=64: length limit of responses to probe prompts and of online methods.",
            "What to train",
        ),
    ] = None
    output_path: Annotated[
        Path | None, flag("--output-path", "Folder of the checkpoint.", "What to train", metavar="DIR")
    ] = None
    push_to_hub: Annotated[
        str | None,
        flag(
            "--push-to-hub",
            "Upload the finished checkpoint to this hub repository; a new one is private.",
            "What to train",
            metavar="OWNER/NAME",
        ),
    ] = None
    threads: Annotated[int, flag("--threads", "Threads of torch.", "What to train", min=1)] = 1
    gpus_per_cell: Annotated[int, gpus_flag("What to train")] = 1
    parallel: Annotated[str, parallel_flag("What to train")] = "auto"
    quiet: Annotated[bool, flag("--quiet", "Show no progress.", "What to train")] = False


@with_flags
def train(
    checkpoint: CheckpointFlags,
    data: DataFlags,
    training: TrainingFlags,
    models: ModelFlags,
    trust: TrustFlags,
    knobs: KnobFlags,
) -> None:
    """Train one checkpoint. After an interruption the same command continues."""
    if checkpoint.push_to_hub is not None:
        from rpo_bench.models.push import check_name

        check_name(checkpoint.push_to_hub)
    layers = [{"models": [checkpoint.model], "seeds": [checkpoint.seed], "n_strengths": 1}]
    changes = spec_changes(checkpoint, data, training, models)
    changes["models"] = [checkpoint.model]
    changes["methods"] = method_settings(checkpoint.method)
    if checkpoint.strength is not None:
        changes["strengths"] = {"*": [checkpoint.strength]}
    spec = build_spec(layers, changes, knobs)
    if len(spec.methods) != 1:
        raise UserError("--method takes one method; train-and-eval runs several.")
    if any(len(values) > 1 for values in spec.strengths.values()):
        raise UserError("train takes one strength; train-and-eval runs several.")
    _train(spec, checkpoint, data, trust)


def _train(spec: "RunSpec", flags: CheckpointFlags, data: DataFlags, trust: TrustFlags) -> None:
    from rpo_bench.engine.output import Output, only_run, write_identity
    from rpo_bench.engine.plan.graph import cell_work
    from rpo_bench.engine.plan.plan import PlanContext, plan_run
    from rpo_bench.engine.plan.resources import Resources, parallel_of
    from rpo_bench.engine.pool.progress import clock
    from rpo_bench.spec.trust import Trust

    name = spec.methods[0].name
    strength = next((values[0] for values in spec.strengths.values()), "default")
    root = flags.output_path or Path("runs") / "train" / f"{name}-{strength}-{flags.seed}"
    output = Output(root, root / "work")
    with only_run(output):
        resources = Resources(flags.threads, flags.gpus_per_cell, parallel_of(flags.parallel))
        trusted = Trust(**vars(trust))
        plan = plan_run(spec, PlanContext(output.work, data.include_path, trusted, resources))
        cell = plan.cells[-1]
        _check_same(root, cell.spec.model_dump(mode="json"))
        write_identity(output, plan.identity)
        say_notes(plan.warnings)
        result = _fit(root, cell_work(plan, cell, output), flags)
    if result.status == "diverged":
        say(f"Training diverged: {result.reason}. See the log {root / 'train_log.jsonl'}.")
        raise typer.Exit(1)
    out().print(
        f"{root / 'checkpoint'}: {result.steps} steps in {clock(result.seconds)}, "
        f"{result.tokens / max(result.seconds, 1e-9):,.0f} tokens/s.",
        soft_wrap=True,
    )
    if flags.push_to_hub is not None:
        from rpo_bench.models.push import push_to_hub

        address = push_to_hub(root / "checkpoint", flags.push_to_hub)
        out().print(f"Pushed to {address}", soft_wrap=True)


def _fit(root: Path, work: "CellWork", flags: CheckpointFlags) -> "FitResult":
    """Trains with a progress bar on a terminal, and occasional lines elsewhere."""
    import torch
    from rich.progress import Progress as Bar

    from rpo_bench.engine.pool.worker import Progress
    from rpo_bench.engine.stages.train import train_into

    torch.set_num_threads(flags.threads)
    console = err()
    with Bar(console=console, disable=flags.quiet or not console.is_terminal, transient=True) as bar:
        task = bar.add_task("training", total=work.spec.training.steps)
        spoken = time.monotonic()

        def report(progress: Progress) -> None:
            nonlocal spoken
            loss = "" if progress.loss is None else f", loss {progress.loss:.4g}"
            advance(bar, task, progress.step or 0, description=f"training{loss}")
            if bar.disable and not flags.quiet and time.monotonic() - spoken > _LINE_EVERY:
                spoken = time.monotonic()
                console.print(f"step {progress.step}/{progress.steps}{loss}")

        return train_into(root, work, report)


def _check_same(root: Path, spec: dict[str, Any]) -> None:
    """Refuses a folder in which another checkpoint was started."""
    file = root / "spec.yaml"
    if not file.is_file():
        return
    earlier = with_first_protocol(read_yaml(file))
    for one in (spec, earlier):
        for name in ("model_path", "evaluation", "task_hash"):
            one.pop(name, None)
        one["training"] = without_neutral(one["training"])
    found = difference(flat(earlier), flat(spec))
    if found is not None:
        raise UserError(f"{root} belongs to another checkpoint: {found}. Choose another --output-path.")
