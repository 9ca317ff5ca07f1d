"""``rpo-bench doctor``: checks what this machine supports and what is missing."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from rpo_bench.cli.console import out
from rpo_bench.doctor import Status, examine

_STYLES = {Status.OK: "green", Status.NOTE: "yellow", Status.MISSING: "bold red"}


def doctor(
    output_path: Annotated[
        Path, typer.Option("--output-path", metavar="DIR", help="Folder where results would be written.")
    ] = Path(),
) -> None:
    """Check this machine: versions, devices, disk, and a generation on the embedded task.

    Exits with 1 if a requirement is missing; notes don't count.
    """
    console = out()
    missing = 0
    for check in examine(output_path):
        missing += check.status is Status.MISSING
        label = Text(f"{check.status.value:7}", _STYLES[check.status])
        console.print(label, f" {check.name:22}  {check.detail}")
    console.print()
    if missing:
        console.print(f"{missing} thing{'s' if missing > 1 else ''} missing; see above.", style="bold red")
        raise typer.Exit(1)
    console.print("All requirements are met.")
