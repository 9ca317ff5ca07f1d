"""``rpo-bench aggregate``: methods over several tasks and base models."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rpo_bench.cli.console import out, print_json, print_table, say_notes

if TYPE_CHECKING:
    from rpo_bench.stats.interval import Interval


def aggregate(
    results: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders of results; the stored baselines by default.", metavar="RESULTS"),
    ] = None,
    baseline: Annotated[
        str, typer.Option("--baseline", help="Method that the probability of improvement is over.")
    ] = "sft",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Aggregate methods over the tasks and base models that all of them have.

    A score is a training seed's gain in reward at 0.5 nats of KL as a share of the oracle's gain there: 0 is
    the reference policy, 1 the oracle. IQM is the mean of the middle half of all scores, P(better) the
    probability that a run beats a run of the baseline, and "Above x" the share of runs with a score above x.
    """
    from rpo_bench.analysis.across import THRESHOLDS, aggregate_report
    from rpo_bench.errors import UserError
    from rpo_bench.results.baselines import stored_baselines

    baselines = stored_baselines()
    roots = results or ([baselines] if baselines else [])
    if not roots:
        raise UserError("There are no stored baselines here: give a folder of results.")
    report = aggregate_report(roots, baseline)
    if as_json:
        print_json(report)
    else:
        above = [f"Above {threshold:g}" for threshold in THRESHOLDS]
        head = ["Method", "Seeds", *report.places, "IQM", f"P(better than {report.baseline})", *above]
        rows = [
            [
                row.method,
                row.seeds,
                *(f"{row.by_place[place]:.2f}" for place in report.places),
                _told(row.iqm),
                "–" if row.improvement is None else _told(row.improvement),
                *(f"{share:.0%}" for share in row.profile.values()),
            ]
            for row in report.rows
        ]
        print_table(f"Share of the oracle's gain at {report.budget:g} nats of KL", head, rows)
        out().print("95 % intervals over training seeds.", style="dim")
    say_notes(report.notes)


def _told(value: "Interval") -> str:
    if value.point is None:
        return "–"
    if value.low is None or value.high is None:
        return f"{value.point:.2f}"
    return f"{value.point:.2f} [{value.low:.2f}, {value.high:.2f}]"
