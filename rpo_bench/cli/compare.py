"""``rpo-bench compare``: paired differences between methods, with intervals."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rpo_bench.cli.console import out, print_exact, print_json, print_table, say, say_notes
from rpo_bench.cli.options import flag, with_flags
from rpo_bench.errors import UserError

if TYPE_CHECKING:
    from rpo_bench.analysis.report import Comparison, Report, Section
    from rpo_bench.analysis.section import Options


_LONG = 30  # rows of a table beyond which only the reward's are printed
_PAIRS = 3  # pairs whose prompts are printed


class Format(StrEnum):
    """Output format."""

    table = "table"
    json = "json"
    csv = "csv"
    latex = "latex"
    md = "md"


class At(StrEnum):
    """Points at which methods are compared."""

    both = "both"
    kl = "kl"
    strength = "strength"


@dataclass(frozen=True)
class WhatFlags:
    """What is compared with what."""

    things: Annotated[
        list[str],
        typer.Argument(
            metavar="A B …",
            help="Folders of results, or methods in --results: rpo, rpo@0.5. Compares the first with each "
            "other one; a single argument with the stored baselines; a folder of several methods by the "
            "declared family.",
        ),
    ]
    results: Annotated[
        list[Path] | None,
        flag(
            "--results",
            "Where to look up methods, and what to compare a single argument with; the stored baselines "
            "by default. May be repeated.",
            "What",
            metavar="DIR",
        ),
    ] = None
    task: Annotated[str | None, flag("--task", "Only results of this task.", "What")] = None
    model: Annotated[str | None, flag("--model", "Only results of this base model.", "What")] = None


@dataclass(frozen=True)
class HowFlags:
    """Metrics and points of comparison."""

    metrics: Annotated[
        str | None,
        flag("--metrics", "E.g. reward,toxicity, or all; the main metrics by default.", "How"),
    ] = None
    at: Annotated[At, flag("--at", "Compare at equal KL, at equal strength, or both.", "How")] = At.both
    kl: Annotated[
        str | None,
        flag(
            "--kl", "KL budgets in nats, e.g. 0.5,1. By default the KL that half of the methods reach.", "How"
        ),
    ] = None
    level: Annotated[float, flag("--level", "Coverage of the intervals.", "How")] = 0.95
    resamples: Annotated[int, flag("--resamples", "Bootstrap resamples.", "How", min=100)] = 10_000


@dataclass(frozen=True)
class PrintFlags:
    """What is printed, and the exit code."""

    format: Annotated[Format, flag("--format", "Output format.", "Output")] = Format.table
    prompts: Annotated[
        int, flag("--prompts", "Number of prompts to show, largest difference first.", "Output", min=0)
    ] = 3
    fail_if_worse: Annotated[
        list[str] | None,
        flag(
            "--fail-if-worse",
            "Exit with 1 if the first is worse on this metric, by adjusted p and at equal KL where possible. "
            "May be repeated.",
            "Output",
            metavar="METRIC",
        ),
    ] = None


@with_flags
def compare(what: WhatFlags, how: HowFlags, printing: PrintFlags) -> None:
    """Compare stored results: paired differences with intervals, at equal KL and at equal strength."""
    from rpo_bench.api.results import compare as compared

    options = _options(what, how, printing)
    report = compared(what.things, results=what.results or None, options=options)
    _print(report, printing.format)
    code = _gate(report, printing.fail_if_worse or [])
    if code:
        raise typer.Exit(code)


def _options(what: WhatFlags, how: HowFlags, printing: PrintFlags) -> "Options":
    from rpo_bench.analysis.section import Options
    from rpo_bench.spec.parsing import split_list

    if not 0.5 <= how.level < 1:
        raise UserError(f"--level {how.level:g}: it must be between 0.5 and 1, such as 0.95.")
    return Options(
        metrics=tuple(split_list(how.metrics or "")),
        budgets=tuple(_budget(text) for text in split_list(how.kl or "")),
        at=how.at.value,
        level=how.level,
        prompts=printing.prompts if printing.format in (Format.table, Format.json) else 0,
        task=what.task,
        model=what.model,
        resamples=how.resamples,
        extra_metrics=tuple(printing.fail_if_worse or ()),
    )


def _budget(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 < value < float("inf"):
        raise UserError(f"--kl: '{text}' is not a positive number of nats.")
    return value


def _print(report: "Report", form: Format) -> None:
    from rpo_bench.analysis.render import as_csv, as_latex, as_markdown

    if form is Format.json:
        print_json(report)
    elif form is Format.table:
        for section in report.sections:
            _print_section(section)
    else:
        render = {Format.csv: as_csv, Format.latex: as_latex, Format.md: as_markdown}[form]
        print_exact(render(report))
    say_notes(report.notes)


def _print_section(section: "Section") -> None:
    console = out()
    console.print(f"{section.task}, {section.model}: {section.prompts} prompts", style="bold")
    _print_standings(section)
    primary = [one for one in section.comparisons if one.primary]
    _print_comparisons(f"Primary: {section.family}; p adjusted by Holm", primary)
    at_kl = [one for one in section.comparisons if not one.primary and one.matched == "kl"]
    _print_comparisons("Other metrics at equal KL; q-values", at_kl)
    rest = [one for one in section.comparisons if not one.primary and one.matched != "kl"]
    shown = rest if len(rest) <= _LONG else [one for one in rest if one.metric == "reward"]
    _print_comparisons("At equal strength or as given; q-values", shown)
    if len(shown) < len(rest):
        console.print(f"  --format csv has {len(rest) - len(shown)} more, on other metrics.")
    _print_prompts(section)
    for note in section.notes:
        console.print(f"Note: {note}", soft_wrap=True)


def _print_standings(section: "Section") -> None:
    from rpo_bench.analysis.render import ranks_text, said

    if not section.standings:
        return
    rows = [
        (
            one.label,
            f"{one.seeds} ({one.badge})",
            ranks_text(one.ranks),
            said(one.gain),
            said(one.area),
            said(one.regret) if one.regret else "–",
            f"{one.furthest:.2f}",
        )
        for one in section.standings
    ]
    head = ("Method", "Seeds", "Rank", "Gain over reference", "Area", "Regret to the oracle", "Furthest KL")
    print_table(f"Reward within {section.budgets[0]:g} nats of KL", head, rows)


def _print_comparisons(title: str, comparisons: list["Comparison"]) -> None:
    from rpo_bench.analysis.render import HEAD, row

    if not comparisons:
        return
    console = out()
    console.print("")
    print_table(title, HEAD, [row(one) for one in comparisons])
    noted: dict[str, None] = {}
    for one in comparisons:
        noted |= dict.fromkeys(one.notes)
    for note in noted:
        console.print(f"  {note}", soft_wrap=True)
    found = [one.detectable for one in comparisons if one.primary and one.detectable is not None]
    if found:
        console.print(
            f"  Minimum detectable effect (power 80 %): {min(found):.2g}"
            + (f" to {max(found):.2g}" if max(found) > min(found) else "")
            + ".",
        )


def _print_prompts(section: "Section") -> None:
    console = out()
    for pair, gaps in list(section.most_different.items())[:_PAIRS]:
        if not gaps:
            continue
        console.print("")
        rows = [(gap.prompt_id, _short(gap.prompt), gap.first, gap.second, gap.difference) for gap in gaps]
        print_table(
            f"Largest differences in reward: {pair}",
            ("Prompt", "Text", "First", "Second", "Difference"),
            rows,
        )


def _short(text: str | None, width: int = 60) -> str:
    line = " ".join((text or "").split())
    return line if len(line) <= width else line[: width - 1] + "…"


def _gate(report: "Report", metrics: list[str]) -> int:
    """1 if the first is worse on a metric, else 0."""
    from rpo_bench.analysis.render import directed, worse

    code = 0
    for metric in metrics:
        of = [one for section in report.sections for one in section.comparisons if one.metric == metric]
        if not of:
            raise UserError(f"--fail-if-worse {metric}: no comparison has this metric on both sides.")
        if not directed(of):
            raise UserError(f"--fail-if-worse {metric}: this metric has no better direction.")
        bad, undetermined = worse(report, metric)
        for one in bad:
            say(f"Worse: {metric}, {one.first} than {one.second}.")
        if not bad and undetermined:
            one = undetermined[0]
            why = "; ".join(one.notes) or "there is no interval"
            raise UserError(
                f"--fail-if-worse {metric}: {one.first} against {one.second} is undetermined: {why}."
            )
        code = max(code, int(bool(bad)))
    return code
