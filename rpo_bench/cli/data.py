"""``rpo-bench data``: look at training data before using it."""

import dataclasses
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.padding import Padding

from rpo_bench.cli.column_flags import ColumnFlags
from rpo_bench.cli.console import err, out, print_facts, print_json, print_table
from rpo_bench.cli.options import with_flags
from rpo_bench.data.caveats import DataWarning, warnings_of
from rpo_bench.data.readers import OnBad, load_rows, skip_sentence
from rpo_bench.data.report import DataReport, Lengths, RewardSummary, describe
from rpo_bench.data.row import Row
from rpo_bench.data.split import split_rows

if TYPE_CHECKING:
    from rpo_bench.models.token_lengths import TokenLengths

app = typer.Typer(help="Inspect training data before you use it.", no_args_is_help=False)
BAR = 40  # characters of the longest bar


class Format(StrEnum):
    """Output format."""

    text = "text"
    json = "json"


@app.callback(invoke_without_command=True)
def data(context: typer.Context) -> None:
    """Inspect training data before you use it."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
@with_flags
def check(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="JSONL, JSON, CSV, TSV or Parquet (text may be gzipped), a saved Hugging Face dataset, or "
            "hf:NAME on the hub.",
        ),
    ],
    columns: ColumnFlags,
    form: Annotated[
        Format, typer.Option("--format", help="Output format: text for people, json for programs.")
    ] = Format.text,
    split: Annotated[
        str | None, typer.Option("--split", help="Read only this split.", metavar="NAME")
    ] = None,
    skip_bad_lines: Annotated[
        bool, typer.Option("--skip-bad-lines", help="Skip and count rows that can't be used.")
    ] = False,
    model: Annotated[
        str | None,
        typer.Option("--model", help="Also count the tokens of this model: a folder or hub name."),
    ] = None,
    prompt_format: Annotated[
        str | None, typer.Option("--prompt-format", help="Format of prompts for --model: none, chat …")
    ] = None,
) -> None:
    """Describe a data set, and warn where a method would degenerate on it.

    If the data can't be used, exits with 2 and the location of the first error.
    """
    if form is Format.text:
        err().print(f"Reading {source} …", style="dim")
    on_bad: OnBad = "skip" if skip_bad_lines else "fail"
    loaded = load_rows(source, split=split, on_bad=on_bad, columns=columns.columns)
    split_rows(loaded.rows, test_fraction=0.2, seed=0)  # raises the same errors as training
    report = describe(loaded.rows, source, loaded.skipped, loaded.reasons)
    warnings = warnings_of(report, loaded.rows)
    tokens = None if model is None else _token_lengths(loaded.rows, model, prompt_format)
    if form is Format.json:
        content = dataclasses.asdict(report) | {"warnings": [dataclasses.asdict(w) for w in warnings]}
        if tokens is not None:
            content["tokens"] = dataclasses.asdict(tokens)
        print_json(content)
        return
    if loaded.skipped:
        err().print(skip_sentence(source, loaded), style="yellow")
    print_report(report)
    if tokens is not None:
        _print_tokens(tokens, len(loaded.rows), str(model))
    _print_warnings(out(), warnings)


def print_report(report: DataReport) -> None:
    """Prints the report as text."""
    console = out()
    splits = ", ".join(f"{name} {count:,}" for name, count in report.splits.items())
    print_facts(
        {
            "rows": report.rows,
            "prompts": report.prompts,
            "preference pairs": report.pairs,
            "rows by their own split": splits,
            "skipped records": report.skipped,
            "exact duplicates of rows": report.duplicates.rows,
            "responses with several rewards": report.duplicates.conflicting,
            "prompts with all rewards equal": f"{report.constant_prompts:,} (of those with K ≥ 2)",
            "rows with behaviour_logp": report.with_behaviour_logp,
            "prompts with reference_rewards": report.with_reference_rewards,
        }
    )
    bars = [(f"K = {k}", count) for k, count in _few(report.responses_per_prompt).items()]
    _print_bars(console, "Prompts by number of responses (K)", bars)
    _print_rewards(console, report.reward)
    console.print()
    lengths = {
        "prompt, words": report.prompt_words,
        "prompt, characters": report.prompt_characters,
        "response, words": report.response_words,
        "response, characters": report.response_characters,
    }
    names = [field.name for field in dataclasses.fields(Lengths)]
    rows = [(label, *dataclasses.astuple(value)) for label, value in lengths.items()]
    print_table("Lengths", ("", *names), rows)
    shares = ", ".join(f"{rule} {share:.1%}" for rule, share in report.desirable_share.items())
    console.print(f"\nDesirable responses by labelling rule: {shares}")


def _token_lengths(rows: Sequence[Row], model: str, prompt_format: str | None) -> "TokenLengths":
    from rpo_bench.models.token_lengths import token_lengths

    return token_lengths(rows, model, prompt_format)


def _print_tokens(tokens: "TokenLengths", rows: int, model: str) -> None:
    """Prints lengths in tokens, and how many rows don't fit the model."""
    parts = {"prompt": tokens.prompt, "response": tokens.response, "together": tokens.together}
    names = [field.name for field in dataclasses.fields(Lengths)]
    table = [(label, *dataclasses.astuple(value)) for label, value in parts.items()]
    print_table(f"Lengths in tokens of {model}", ("", *names), table)
    limit = "no limit of its own" if tokens.limit is None else f"positions for {tokens.limit:,}"
    out().print(
        f"The model has {limit}; {tokens.beyond:,} of {rows:,} rows are longer (--max-length, --truncate, "
        f"--drop-long). {tokens.said:.0%} of all tokens are of responses.",
        soft_wrap=True,
    )


def _few(histogram: dict[int, int], limit: int = 16) -> dict[str, int]:
    """At most ``limit`` bars; beyond them one for the rest."""
    items = list(histogram.items())
    shown = {str(k): count for k, count in items[:limit]}
    rest = sum(count for _, count in items[limit:])
    return shown | ({f"{items[limit][0]} and more": rest} if rest else {})


def _print_rewards(console: Console, reward: RewardSummary) -> None:
    console.print()
    numbers = {
        "min": reward.minimum,
        "25 %": reward.quartile_1,
        "median": reward.median,
        "75 %": reward.quartile_3,
        "max": reward.maximum,
        "mean": reward.mean,
        "sd": reward.sd,
        "distinct": reward.distinct,
    }
    print_table("Rewards", tuple(numbers), [tuple(numbers.values())])
    bars = [
        (f"{b.low:.4g}" if b.low == b.high else f"{b.low:.4g} … {b.high:.4g}", b.count)
        for b in reward.histogram
    ]
    _print_bars(console, "", bars)


def _print_bars(console: Console, title: str, bars: list[tuple[str, int]]) -> None:
    console.print()
    if title:
        console.print(title, style="bold")
    widest = max(len(label) for label, _ in bars)
    most = max(count for _, count in bars)
    for label, count in bars:
        bar = "█" * max(round(BAR * count / most), 1 if count else 0)
        console.print(f"{label.rjust(widest)}  {count:>9,}  {bar}")


def _print_warnings(console: Console, warnings: list[DataWarning]) -> None:
    console.print()
    if not warnings:
        console.print("No warnings.")
        return
    console.print(f"{len(warnings)} warning{'s' if len(warnings) > 1 else ''}:", style="bold yellow")
    for warning in warnings:
        text = f"{warning.code}: {warning.sentence}"
        console.print(Padding(text, (0, 0, 0, 2)) if console.is_terminal else f"  {text}")
