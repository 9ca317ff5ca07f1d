"""``rpo-bench leaderboard``: builds the page from stored results."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rpo_bench.cli.console import out, say
from rpo_bench.errors import UserError

if TYPE_CHECKING:
    from http.server import ThreadingHTTPServer


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
            help="Folder of the page; 'leaderboard' beside the results by default.",
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Write nothing; fail if the page is out of date or a result is broken.",
        ),
    ] = False,
    serve: Annotated[
        bool, typer.Option("--serve", help="Then serve it on this machine's loopback address until Ctrl-C.")
    ] = False,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port of --serve; 0: any free port.")
    ] = 8000,
) -> None:
    """Build the page from stored results, and print its table. Nothing is trained or measured.

    Results that can't be used are skipped and listed here and on the page.
    """
    from rpo_bench.api.results import default_page_folder
    from rpo_bench.site.build import PAGE, build_leaderboard
    from rpo_bench.site.serve import page_server
    from rpo_bench.site.terminal import print_table

    if check and serve:
        raise UserError("--check builds no page for --serve: give one of them.")
    roots = results or [Path("results")]
    target = output_path or default_page_folder(roots[0])
    if check:
        _check(roots, target)
        return
    server = page_server(target, port) if serve else None
    print_table(build_leaderboard(roots, target))
    out().print(f"Page: {target / PAGE}", soft_wrap=True)
    if server is not None:
        _serve(server)


def _check(roots: list[Path], target: Path) -> None:
    """Exits with 1 if the page is out of date or a result is broken."""
    from rpo_bench.site.build import PAGE, CheckFailed, check_leaderboard
    from rpo_bench.site.terminal import print_table

    try:
        board = check_leaderboard(roots, target)
    except CheckFailed as failed:
        print_table(failed.board)
        say(f"Check failed: {failed}")
        raise typer.Exit(1) from failed
    print_table(board)
    out().print(f"The page is up to date: {target / PAGE}", soft_wrap=True)


def _serve(server: "ThreadingHTTPServer") -> None:
    """Serves until Ctrl-C."""
    from rpo_bench.site.serve import address

    out().print(f"Open {address(server)} (Ctrl-C to stop).", soft_wrap=True)
    with server:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("Stopped.")
