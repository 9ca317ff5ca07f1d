"""``rpo-bench judge audit``: how far a judge can be believed."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rpo_bench.cli.console import out, print_facts, print_json, say
from rpo_bench.cli.judge_asking import ask, output_of
from rpo_bench.cli.judge_flags import CostFlags, JudgeFlags
from rpo_bench.cli.options import flag, with_flags
from rpo_bench.cli.run_flags import TrustFlags
from rpo_bench.cli.stored import read_judged

if TYPE_CHECKING:
    from rpo_bench.judge.card import JudgeCard


@dataclass(frozen=True)
class AuditFlags:
    """What the judge is shown."""

    results: Annotated[
        list[Path], typer.Argument(help="Result folders, or outputs of train-and-eval.", metavar="RESULTS…")
    ]
    pairs: Annotated[
        int,
        flag(
            "--pairs", "Pairs of responses by two checkpoints; a third as many per sanity row.", "What", min=2
        ),
    ] = 300
    include_path: Annotated[
        Path | None, flag("--include-path", "A folder of further tasks.", "What", metavar="DIR")
    ] = None
    output_path: Annotated[
        Path | None,
        flag("--output-path", "Where judgements/ lies; the run's output by default.", "What", metavar="DIR"),
    ] = None


@with_flags
def audit(what: AuditFlags, who: JudgeFlags, cost: CostFlags, trust: TrustFlags) -> None:
    """Measure a judge: agreement with gold rewards, flips, preference for place and length, sanity rows.

    It is asked about pairs of stored responses in both orders, and about three policies whose worth is known:
    a constant text, a copy of the prompt, the longer of two samples. What it has replied isn't asked again.
    """
    from rpo_bench.judge.audit import audit_of, audited
    from rpo_bench.judge.card import write_card

    shown = audit_of(read_judged(what.results, who, what.include_path), what.pairs, what.include_path)
    judge = who.judge_of(shown.pairs, trust, what.include_path)
    asked = ask(judge, shown.pairs, what.output_path or output_of(what.results[0]), cost)
    if asked is None:
        return
    card = audited(judge, shown, asked.plan, asked.games, asked.replies, asked.budget)
    write_card(asked.folder, card)
    if cost.as_json:
        print_json(card)
    else:
        _print(card, asked.folder)
    if asked.account.failed or asked.account.stopped:
        say("Calls are missing; the same command makes them.")
        raise typer.Exit(1)


def _print(card: "JudgeCard", folder: Path) -> None:
    from rpo_bench.wording import share_text

    facts = {
        "judge": card.judge,
        "asked": f"{card.games:,} games, {card.questions:,} questions with a verdict in both orders",
        "has a verdict": share_text(card.parse_rate),
        "flips": f"{share_text(card.flip_rate)} of the questions",
        "prefers the first": share_text(card.prefers_first),
        "prefers the longer": share_text(card.prefers_longer),
    }
    if (of := card.agreement) is not None:
        facts |= {
            f"agrees with {of.by}": share_text(of.accuracy),
            "Cohen's kappa": f"{_kappa(of.kappa)}, without ties {_kappa(of.kappa_without_ties)}",
            "the longer is better": share_text(of.longer),
        }
    for row in card.sanity:
        told = "" if row.truth is None else f" (in truth {share_text(row.truth)})"
        facts[f"win rate, {row.name}"] = share_text(row.win_rate) + told
    usage = card.usage
    seconds = "" if usage.seconds_per_call is None else f", {usage.seconds_per_call:.3f} s each"
    price = "" if usage.cost is None else f", {usage.cost:,.4g} in all"
    facts["calls"] = f"{usage.calls:,}{seconds}{price}"
    facts["card"] = str(folder / "card.json")
    print_facts(facts)
    for warning in card.warnings:
        out().print(f"Warning: {warning}", soft_wrap=True)


def _kappa(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
