"""``rpo-bench judge audit``: measures the reliability of a judge."""

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
    """The results that the judge is audited on."""

    results: Annotated[
        list[Path],
        typer.Argument(help="Folders of results, or outputs of train-and-eval.", metavar="RESULTS…"),
    ]
    pairs: Annotated[
        int,
        flag(
            "--pairs",
            "Pairs of responses from two checkpoints; each sanity row has a third as many.",
            "What",
            min=2,
        ),
    ] = 300
    include_path: Annotated[
        Path | None, flag("--include-path", "A folder of further tasks.", "What", metavar="DIR")
    ] = None
    output_path: Annotated[
        Path | None,
        flag(
            "--output-path",
            "Folder that contains judgements/; the run's output by default.",
            "What",
            metavar="DIR",
        ),
    ] = None


@with_flags
def audit(what: AuditFlags, who: JudgeFlags, cost: CostFlags, trust: TrustFlags) -> None:
    """Audit a judge: agreement with gold rewards, position bias, length bias and sanity rows.

    The judge compares pairs of stored responses in both orders, and three baselines of known quality: a
    constant text, a copy of the prompt, and the longer of two samples. Stored replies are reused.
    """
    from rpo_bench.judge.audit import audit_of, audited
    from rpo_bench.judge.card import write_card

    shown = audit_of(read_judged(what.results, who, what.include_path), what.pairs, what.include_path)
    judge = who.judge_of(shown.pairs, trust, what.include_path)
    result = ask(judge, shown.pairs, what.output_path or output_of(what.results[0]), cost)
    if result is None:
        return
    card = audited(judge, shown, result.plan, result.games, result.replies, result.budget)
    write_card(result.folder, card)
    if cost.as_json:
        print_json(card)
    else:
        _print(card, result.folder)
    if result.account.failed or result.account.stopped:
        say("Some calls are missing; run the same command again to make them.")
        raise typer.Exit(1)


def _print(card: "JudgeCard", folder: Path) -> None:
    from rpo_bench.wording import share_text

    facts = {
        "judge": card.judge,
        "games": f"{card.games:,}; {card.questions:,} questions have a verdict in both orders",
        "returns a verdict": share_text(card.parse_rate),
        "flips": f"{share_text(card.flip_rate)} of the questions",
        "prefers the first response": share_text(card.prefers_first),
        "prefers the longer response": share_text(card.prefers_longer),
    }
    if (of := card.agreement) is not None:
        facts |= {
            f"agreement with {of.by}": share_text(of.accuracy),
            "Cohen's kappa": f"{_kappa(of.kappa)}, without ties {_kappa(of.kappa_without_ties)}",
            "the longer response is better": share_text(of.longer),
        }
    for row in card.sanity:
        truth = "" if row.truth is None else f" (gold reward: {share_text(row.truth)})"
        facts[f"win rate, {row.name}"] = share_text(row.win_rate) + truth
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
