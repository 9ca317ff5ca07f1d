"""``rpo-bench publish``: copies a run's results in a form small enough to commit."""

from pathlib import Path
from typing import Annotated

import typer

from rpo_bench.cli.console import out
from rpo_bench.cli.judge_asking import output_of
from rpo_bench.cli.stored import read_stored, skipped
from rpo_bench.errors import UserError


def publish(
    run: Annotated[
        list[Path], typer.Argument(help="Outputs of train-and-eval, or folders of results.", metavar="RUN…")
    ],
    into: Annotated[
        Path,
        typer.Option(
            "--output-path",
            metavar="DIR",
            help="The folder of published results.",
            envvar="RPO_BENCH_INTO",  # not a run's output folder: that is the source
            show_envvar=False,
        ),
    ] = Path("results"),
    max_mb: Annotated[
        float, typer.Option("--max-mb", min=0.001, help="Fail if the folder would grow larger.")
    ] = 20.0,
) -> None:
    """Copy results in their published form: texts and scores, without token data.

    Existing copies are replaced. Broken results are skipped and reported; the command then exits with 1.
    """
    from rpo_bench.files.reading import Unreadable
    from rpo_bench.judge.card import publish_cards
    from rpo_bench.results import publish as publishing

    found = read_stored(run)
    if not found.records:
        raise UserError(f"{', '.join(map(str, run))}: no usable results here.")
    written, left_out = [], len(found.broken)
    for stored in found.records:
        try:
            written.append(publishing.publish(stored, into))
        except Unreadable as error:
            left_out += 1
            skipped(stored.folder, str(error))
    for root in run:
        publish_cards(output_of(root), into)
    size = sum(file.stat().st_size for file in into.rglob("*") if file.is_file()) / 1e6
    own = sum(result.size for result in written) / 1e6
    out().print(f"{len(written)} results, {own:.1f} MB, into {into}, which has {size:.1f} MB now.")
    if size > max_mb:
        raise UserError(
            f"{into} has {size:.1f} MB, more than --max-mb {max_mb:g}: publish fewer results there."
        )
    if left_out:
        raise typer.Exit(1)
