"""``rpo-bench judge``: pairwise judgements."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rpo_bench.cli.console import out, print_facts, print_json
from rpo_bench.cli.judge_audit import audit
from rpo_bench.cli.judge_run import parse, run
from rpo_bench.cli.judge_scores import ranking, scores

if TYPE_CHECKING:
    from rpo_bench.judge.win_rates import WinRates
    from rpo_bench.stats.interval import Interval

_EXTRAPOLATED = 0.95  # share of questions on one side of equal length

app = typer.Typer(help="Win rates from pairwise judgements.", no_args_is_help=True)


class Source(StrEnum):
    """Formats of external judgements."""

    alpaca_eval = "alpaca-eval"


app.command("run")(run)
app.command("parse")(parse)
app.command("scores")(scores)
app.command("ranking")(ranking)
app.command("audit")(audit)


@app.callback()
def root() -> None:
    """Win rates from pairwise judgements."""


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="Judgements from another tool, .json or .json.gz.")],
    source: Annotated[Source, typer.Option("--from", help="Format of the file.")] = Source.alpaca_eval,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    level: Annotated[float, typer.Option("--level", help="Coverage of the intervals.")] = 0.95,
    resamples: Annotated[int, typer.Option("--resamples", min=100, help="Bootstrap resamples.")] = 10_000,
) -> None:
    """Compute win rates from another tool's judgements: raw, discrete and length-controlled, in percent.

    The length-controlled rate is the win rate at equal length, by logistic regression on the length
    difference. AlpacaEval's own regression also has a term for the difficulty of each instruction, so the
    two differ.
    """
    from rpo_bench.errors import UserError
    from rpo_bench.judge.alpaca_eval import read_alpaca_eval
    from rpo_bench.judge.win_rates import win_rates

    if not 0.5 <= level < 1:
        raise UserError(f"--level {level:g}: it must be between 0.5 and 1, such as 0.95.")
    readers = {Source.alpaca_eval: read_alpaca_eval}
    found = win_rates(readers[source](file), level=level, resamples=resamples)
    if as_json:
        print_json(found)
    else:
        _print(found)


def _print(found: "WinRates") -> None:
    error = "" if found.standard_error is None else f" ± {found.standard_error:.3f} (standard error)"
    facts = {
        "model": f"{found.model}, against {found.baseline}",
        "questions": f"{found.questions:,}" + (f", {found.unscored} unscored" if found.unscored else ""),
        "win rate": f"{found.win_rate:.3f} %{error}",
        "interval": _bounds(found.win_rate_interval),
        "wins / draws / losses": f"{found.wins} / {found.draws} / {found.losses}",
        "discrete win rate": f"{found.discrete_win_rate:.3f} %",
        "at equal length": _rate(found.length_controlled_win_rate)
        + _bounds(found.length_controlled_interval),
        "mean length": f"{found.mean_length:.0f} characters, the baseline's {found.baseline_mean_length:.0f}",
    }
    print_facts(facts)
    if found.shorter_share > _EXTRAPOLATED or found.shorter_share < 1 - _EXTRAPOLATED:
        out().print(
            f"Note: the model's response is the shorter one on {100 * found.shorter_share:.0f} % of the "
            "questions: the rate at equal length is an extrapolation.",
            soft_wrap=True,
        )


def _rate(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f} % "


def _bounds(interval: "Interval") -> str:
    if interval.low is None or interval.high is None:
        return "no interval"
    return f"[{interval.low:.3f}, {interval.high:.3f}] ({100 * interval.level:g} %)"
