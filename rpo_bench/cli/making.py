"""Shared by the verbs that create a model folder: checks of the target, and a progress bar."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rpo_bench.cli.console import err
from rpo_bench.errors import UserError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

OutputPath = Annotated[
    Path,
    typer.Option(
        "--output-path",
        help="The folder to create.",
        metavar="DIR",
        envvar=["RPO_BENCH_OUTPUT_PATH", "RPO_BENCH_OUT"],
        show_envvar=False,
    ),
]


def check_target(out: Path, overwrite: bool) -> None:
    """Refuses to replace anything but a model folder, and that only with --overwrite."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / "config.json").is_file():
        raise UserError(f"--output-path {out} exists and is not a model folder: choose another.")
    if not overwrite:
        raise UserError(f"--output-path {out} already contains a model: choose another, or give --overwrite.")


@contextmanager
def loss_bar(what: str, steps: int, quiet: bool) -> Iterator[Callable[[int, float], None] | None]:
    """A progress bar with the loss on standard error, if that is a terminal."""
    console = err()
    if quiet or not console.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (what, BarColumn(), MofNCompleteColumn(), TextColumn("loss {task.fields[loss]}"))
    with Progress(*columns, TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task("", total=steps, loss="–")
        yield lambda step, loss: advance(bar, task, step, loss=f"{loss:.3f}")


def advance(bar: "Progress", task: "TaskID", step: int, **shown: Any) -> None:
    """Moves a bar to a step; a resumed run starts at any step and has its own speed."""
    if step and not bar.tasks[task].completed:
        bar.reset(task, completed=step - 1)
    bar.update(task, completed=step, **shown)
