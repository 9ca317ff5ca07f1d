"""``rpo-bench overoptimisation``: where the gold reward falls while the proxy rises."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rpo_bench.cli.console import out, print_json, print_table, say_notes

if TYPE_CHECKING:
    from rpo_bench.analysis.proxy_gold import ProxyGold
    from rpo_bench.stats.interval import Interval

_HEAD = (
    "Method",
    "Strengths",
    "Seeds",
    "Furthest KL",
    "Gold peaks at",
    "Peaks in",
    "Decline",
    "Proxy − gold",
)


def overoptimisation(
    results: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders of results; the stored baselines by default.", metavar="RESULTS"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare proxy and gold reward over √KL: where gold peaks, and how far the proxy diverges from it.

    Gains over the reference policy are fitted by d(α − βd), d = √KL, over all strengths and seeds. "Peaks in"
    is the share of resamples whose curve peaks before the furthest strength, "Decline" is gold at the peak
    minus gold at the furthest strength, and "Proxy − gold" compares the gains at the furthest strength.
    """
    from rpo_bench.analysis.proxy_gold import proxy_gold_report
    from rpo_bench.errors import UserError
    from rpo_bench.results.baselines import stored_baselines

    baselines = stored_baselines()
    roots = results or ([baselines] if baselines else [])
    if not roots:
        raise UserError("There are no stored baselines here: give a folder of results.")
    report = proxy_gold_report(roots)
    if as_json:
        print_json(report)
    else:
        for task, model in dict.fromkeys((row.task, row.model) for row in report.rows):
            rows = [row for row in report.rows if (row.task, row.model) == (task, model)]
            print_table(f"{task}, {model}", _HEAD, [_cells(row) for row in rows])
        out().print("95 % intervals over training seeds and prompts; KL in nats.", style="dim")
    say_notes(report.notes)


def _cells(row: "ProxyGold") -> tuple[str, ...]:
    return (
        row.method,
        str(row.strengths),
        str(row.seeds),
        f"{row.furthest_kl:.2f}",
        _told(row.peak_kl, beyond="not within"),
        f"{row.peaked:.0%}",
        _told(row.decline),
        _told(row.gap),
    )


def _told(value: "Interval", beyond: str = "–") -> str:
    point = beyond if value.point is None else f"{value.point:.2f}"
    if value.low is None and value.high is None:
        return point
    low, high = ("…" if end is None else f"{end:.2f}" for end in (value.low, value.high))
    return f"{point} [{low}, {high}]"
