"""``rpo-bench export``: results in another tool's format."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from rpo_bench.cli.console import out
from rpo_bench.cli.stored import read_stored, skipped
from rpo_bench.errors import UserError


class Shape(StrEnum):
    """Output formats."""

    lm_eval = "lm-eval"


def export(
    results: Annotated[
        list[Path],
        typer.Argument(
            help="Folders of results, or outputs of runs; the last one is the target.", metavar="RESULTS… DIR"
        ),
    ],
    output_path: Annotated[
        Path | None,
        typer.Option("--output-path", metavar="DIR", help="Target folder, instead of a last DIR.", envvar=[]),
    ] = None,
    to: Annotated[Shape, typer.Option("--to", help="Output format.")] = Shape.lm_eval,
) -> None:
    """Write results as lm-eval does: results_*.json and samples_*.jsonl in a folder per checkpoint."""
    from rpo_bench.lm_eval.export import export_lm_eval

    *sources, into = results if output_path is None else [*results, output_path]
    if not sources:
        raise UserError(f"export needs RESULTS and a target folder: rpo-bench export {results[0]} DIR.")
    found = read_stored(sources)
    if not found.records:
        raise UserError(f"{', '.join(map(str, sources))}: no usable results here.")
    written = 0
    for stored in found.records:
        try:
            export_lm_eval(stored, into)
            written += 1
        except UserError as error:
            skipped(stored.folder, str(error))
    out().print(f"{written} results in {to.value}'s format in {into}.", soft_wrap=True)
    if written < len(found.records) + len(found.broken):
        raise typer.Exit(1)
