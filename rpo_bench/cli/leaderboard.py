"""``rpo-bench leaderboard``: the page from stored results."""

from pathlib import Path
from typing import Annotated

import typer

from rpo_bench.cli.console import out


def leaderboard(
    results: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Folders of results, or outputs of train-and-eval; 'results' by default.",
            metavar="RESULTS",
        ),
    ] = None,
    output_path: Annotated[
        Path | None,
        typer.Option(
            "--output-path",
            metavar="DIR",
            help="Where the page goes; 'leaderboard' beside the results by default.",
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Write nothing; fail when the page there isn't what these results give, or one is broken.",
        ),
    ] = False,
) -> None:
    """Build the page from stored results, and print its table. Nothing is trained or measured.

    Results that can't be used are named, on the page as well, and the rest go on.
    """
    from rpo_bench.site.build import PAGE, build_leaderboard, check_leaderboard
    from rpo_bench.site.terminal import print_table

    roots = results or [Path("results")]
    target = output_path or default_page_folder(roots[0])
    board = check_leaderboard(roots, target) if check else build_leaderboard(roots, target)
    print_table(board)
    said = "The page is up to date" if check else "Page"
    out().print(f"{said}: {target / PAGE}", markup=False, soft_wrap=True)


def default_page_folder(root: Path) -> Path:
    """Where ``train-and-eval`` puts the page of the same results."""
    holds_results = (root / "results").is_dir()
    return (root if holds_results else root.parent) / "leaderboard"
