"""``rpo-bench stability``: training stability of methods."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rpo_bench.cli.console import out, print_json, print_table, say_notes

if TYPE_CHECKING:
    from rpo_bench.analysis.stability import MethodStability, StabilityReport

_MEASURES = ("loss_dispersion", "log_ratio_worst_jump", "probe_max_drawdown", "grad_spike_share")
_HEAD = ("Loss dispersion", "Log-ratio jump", "Probe drawdown", "Gradient spikes")


def stability(
    results: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders of results; the stored baselines by default.", metavar="RESULTS"),
    ] = None,
    kl_cap: Annotated[
        float, typer.Option("--kl-cap", min=0, help="KL in nats above which a checkpoint counts as diverged.")
    ] = 20.0,
    threshold: Annotated[
        float | None,
        typer.Option("--threshold", help="Report the first step that reaches this probe reward."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print stability over seeds, strengths and learning rates: divergence, spread, drawdowns, sensitivity.

    Diverged: the loss stopped being finite, the KL exceeds the cap, or the reward is below the reference
    policy's beyond chance. Worst quarter: the mean reward of the worst quarter of the seeds.
    """
    from rpo_bench.analysis.stability import Limits, stability_report
    from rpo_bench.errors import UserError
    from rpo_bench.results.baselines import stored_baselines

    baselines = stored_baselines()
    roots = results or ([baselines] if baselines else [])
    if not roots:
        raise UserError("There are no stored baselines here: give a folder of results.")
    report = stability_report(roots, Limits(kl_cap, threshold))
    if as_json:
        print_json(report)
    else:
        _print(report)
    say_notes(report.notes)


def _print(report: "StabilityReport") -> None:
    for task, model in dict.fromkeys((row.task, row.model) for row in report.rows):
        rows = [row for row in report.rows if (row.task, row.model) == (task, model)]
        arrivals = any(row.reached is not None for row in rows)
        head = ["Method", "Strength", "Diverged", "IQR over seeds", "Worst quarter", *_HEAD]
        head += ["Steps to threshold"] if arrivals else []
        print_table(f"{task}, {model}", head, [_cells(row, arrivals) for row in rows])
        lines = [one for one in report.sensitivity if (one.task, one.model) == (task, model)]
        if lines:
            out().print("")
            print_table(
                "Sensitivity: worst gain over best gain, relative to the reference policy",
                ("Method", "Over", "Values", "Worst", "Best", "Ratio"),
                [
                    (one.method, one.setting, one.values, one.worst, one.best, _number(one.ratio))
                    for one in lines
                ],
            )


def _cells(row: "MethodStability", arrivals: bool) -> tuple[str, ...]:
    share = row.diverged_share
    high = "" if share.high is None else f" (≤ {share.high:.0%})"
    why = "; ".join(f"{n} {reason}" for reason, n in row.reasons.items())
    measures = [_number(row.measures.get(name)) for name in _MEASURES]
    strength = "–" if row.strength is None else f"{row.strength:g}"
    arrived = "" if row.reached is None else f"{_number(row.steps_to_threshold)} ({row.reached}/{row.seeds})"
    found = [row.method, strength, f"{row.diverged}/{row.seeds}{high}{' ' + why if why else ''}"]
    found += [_number(row.reward_iqr), _number(row.reward_worst), *measures]
    return tuple([*found, arrived] if arrivals else found)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"
