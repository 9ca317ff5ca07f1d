"""``rpo-bench submit``: checks contributed results before they are sent."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rpo_bench.cli.console import out, print_json

if TYPE_CHECKING:
    from rpo_bench.submit.report import SubmitReport

_MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "failed": ("✗", "red")}

app = typer.Typer(help="Check contributed results before you send them.", no_args_is_help=True)


@app.callback()
def root() -> None:
    """Check contributed results before you send them."""


@app.command()
def check(
    folder: Annotated[Path, typer.Argument(help="The contributed results.", metavar="FOLDER")],
    against: Annotated[
        Path | None,
        typer.Option("--against", metavar="DIR", help="The published baselines; the stored ones by default."),
    ] = None,
    max_mb: Annotated[float, typer.Option("--max-mb", min=0.001, help="Maximum size of FOLDER.")] = 5.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check whether results can become rows of the board, and print what to fix.

    Exits with 1 if a check fails; warnings (!) don't count.
    """
    from rpo_bench.results.baselines import stored_baselines
    from rpo_bench.submit.check import check_submission

    report = check_submission(folder, against or stored_baselines(), max_mb)
    if as_json:
        print_json(report)
    else:
        _print(report)
    if not report.passed:
        raise typer.Exit(1)


def _print(report: "SubmitReport") -> None:
    from rich.text import Text

    from rpo_bench.terminal.visible import visible
    from rpo_bench.wording import counted

    console = out()
    for one in report.checks:
        mark, style = _MARKS[one.status]
        console.print(Text.assemble((mark, style), f" {one.name}: {visible(one.said)}"), soft_wrap=True)
        for finding in one.findings:
            console.print(Text(f"    {visible(finding)}"), soft_wrap=True)
        if one.advice:
            console.print(Text(f"  → {one.advice}", "dim"), soft_wrap=True)
    failed = sum(one.status == "failed" for one in report.checks)
    ends = "Ready to send." if report.passed else f"{counted(failed, 'check')} failed: fix this first."
    console.print(f"\n{counted(report.records, 'result')} in {visible(report.folder)}. {ends}")
