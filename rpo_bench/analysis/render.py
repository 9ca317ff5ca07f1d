"""A comparison as CSV, Markdown, LaTeX or a pandas table, and the words that tables share."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rpo_bench.analysis.report import Comparison, Report, Section
from rpo_bench.files.csv_lines import csv_line
from rpo_bench.stats.interval import Interval
from rpo_bench.terminal.visible import visible
from rpo_bench.wording import DASH, estimate, number

if TYPE_CHECKING:
    import pandas as pd

HEAD = ("Comparison", "Metric", "At", "Difference", "Adjusted p", "Win/tie/loss", "Verdict")

COLUMNS = (
    "task",
    "model",
    "first",
    "second",
    "metric",
    "unit",
    "matched",
    "at",
    "first_value",
    "second_value",
    "difference",
    "low",
    "high",
    "level",
    "levels",
    "n",
    "p",
    "adjusted_p",
    "primary",
    "detectable",
    "verdict",
    "wins",
    "ties",
    "losses",
    "notes",
)

_MARKS = {"better": "+", "worse": "−", "identical": "=", "undetermined": "?"}


def as_csv(report: Report) -> str:
    """One row per comparison, unrounded."""
    return "".join(map(csv_line, (COLUMNS, *csv_rows(report))))


def csv_rows(report: Report) -> list[list[object]]:
    """The values under ``COLUMNS``, a row per comparison."""
    return [_csv_row(section, one) for section in report.sections for one in section.comparisons]


def comparisons_frame(report: Report) -> "pd.DataFrame":
    """One row per comparison, with the columns of ``compare --format csv``."""
    import pandas as pd

    return pd.DataFrame(csv_rows(report), columns=list(COLUMNS))


def _csv_row(section: Section, one: Comparison) -> list[object]:
    gap = one.difference
    shared = [section.task, section.model, one.first, one.second, one.metric, one.unit, one.matched, one.at]
    values = [one.first_value.point, one.second_value.point, gap.point, gap.low, gap.high, gap.level]
    covered = ["; ".join(gap.levels), gap.n, one.p, one.adjusted_p, one.primary, one.detectable]
    return [*shared, *values, *covered, one.verdict, one.wins, one.ties, one.losses, "; ".join(one.notes)]


def as_markdown(report: Report) -> str:
    """A table per section."""
    return "\n\n".join(_markdown(section) for section in report.sections) + "\n"


def _markdown(section: Section) -> str:
    lines = [visible(f"### {section.task}, {section.model}"), "", _caption(section), ""]
    lines += [f"| {' | '.join(HEAD)} |", f"|{'---|' * len(HEAD)}"]
    lines += [f"| {' | '.join(_escaped(cell) for cell in row(one))} |" for one in section.comparisons]
    notes = [f"- {visible(note)}" for note in section.notes]
    return "\n".join([*lines, *(["", *notes] if notes else [])])


def _escaped(cell: str) -> str:
    return visible(cell).replace("|", "\\|")


def as_latex(report: Report) -> str:
    """A ``tabular`` per section, for booktabs."""
    return "\n\n".join(_latex(section) for section in report.sections) + "\n"


def _latex(section: Section) -> str:
    lines = [
        visible(f"% {section.task}, {section.model}: {_caption(section)}"),
        r"\begin{tabular}{lllrrrl}",
        r"\toprule",
        " & ".join(HEAD) + r" \\",
        r"\midrule",
        *(" & ".join(tex(cell) for cell in row(one)) + r" \\" for one in section.comparisons),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines)


_TEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "−": "$-$",
    "–": "--",
    "⟨": r"$\langle$",
    "⟩": r"$\rangle$",
    "τ": r"$\tau$",
    "β": r"$\beta$",
}


def tex(text: str) -> str:
    """Text that LaTeX prints as it is."""
    return "".join(_TEX.get(letter, letter) for letter in visible(text))


def _caption(section: Section) -> str:
    primary = sum(one.primary for one in section.comparisons)
    return (
        f"Differences (first minus second) with {_level(section)} intervals on {section.prompts} prompts. "
        f"Primary: {section.family}, reward, {primary} comparisons adjusted by Holm; all others by "
        "Benjamini–Hochberg."
    )


def _level(section: Section) -> str:
    levels = {one.difference.level for one in section.comparisons}
    return f"{100 * max(levels, default=0.95):g} %"


def row(one: Comparison) -> tuple[str, ...]:
    """A comparison as the cells of ``HEAD``."""
    return (
        f"{one.first} − {one.second}",
        one.metric,
        place(one),
        said(one.difference),
        probability(one.adjusted_p) + ("*" if one.primary else ""),
        f"{one.wins}/{one.ties}/{one.losses}" if one.wins + one.ties + one.losses else "–",
        one.verdict,
    )


def place(one: Comparison) -> str:
    """Where it was made: ``1.1 nats``, ``strength 0.3``, ``as given``."""
    if one.at is None:
        return "as given"
    return f"{one.at:g} nats" if one.matched == "kl" else f"strength {one.at:g}"


def said(interval: Interval) -> str:
    """An estimate with its interval, to the digits that the interval's width leaves."""
    if interval.point is None:
        return DASH
    if interval.low is None or interval.high is None:
        return f"{number(interval.point)} (no interval)"
    return estimate(interval, _digits(interval.high - interval.low))


def _digits(width: float) -> int:
    """Decimals that show two digits of a width; at least 1, at most 6."""
    return min(6, max(1, 1 - math.floor(math.log10(width)))) if width > 0 else 3


def probability(p: float | None) -> str:
    """A p-value in few digits."""
    if p is None:
        return DASH
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def ranks_text(ranks: tuple[int, int] | None) -> str:
    """``1–4``, ``16``, or a dash for what isn't ranked."""
    if ranks is None:
        return DASH
    best, worst = ranks
    return f"{best}" if best == worst else f"{best}–{worst}"


def mark(one: Comparison) -> str:
    """One letter for a verdict."""
    return _MARKS.get(one.verdict, "")


def worse(report: Report, metric: str) -> tuple[list[Comparison], list[Comparison]]:
    """The comparisons on a metric that a gate checks: those that are worse, and those undetermined.

    For each pair it uses comparisons at matched KL where there are any, else those at matched strength.
    """
    looked: list[Comparison] = []
    for section in report.sections:
        of = [one for one in section.comparisons if one.metric == metric]
        at_kl = {(one.first, one.second) for one in of if one.matched == "kl"}
        looked += [one for one in of if one.matched == "kl" or (one.first, one.second) not in at_kl]
    bad = [one for one in looked if one.verdict == "worse"]
    return bad, [one for one in looked if one.verdict == "undetermined"]


def directed(comparisons: Sequence[Comparison]) -> bool:
    """Whether a metric has a better and a worse."""
    return any(one.higher_is_better is not None for one in comparisons)
