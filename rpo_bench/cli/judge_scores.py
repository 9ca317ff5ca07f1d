"""``rpo-bench judge scores``: win rates and the judge's card, from stored replies."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rpo_bench.cli.console import out, print_facts, print_table
from rpo_bench.errors import UserError

if TYPE_CHECKING:
    from rpo_bench.judge.card import Agreement, JudgeCard
    from rpo_bench.judge.games import Game
    from rpo_bench.judge.judgements import WinRates
    from rpo_bench.results.schema import Interval

_MUCH = 0.1  # share of flips above which the judge is warned of


@dataclass(frozen=True)
class _Judged:
    """What one judge said."""

    folder: Path
    identity: dict[str, Any]
    games: "list[Game]"
    rates: "list[WinRates]"
    card: "JudgeCard"
    agreement: "Agreement | None"


def scores(
    results: Annotated[Path, typer.Argument(help="Where judgements/ lies.", metavar="OUTPUT")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Win rates by row, raw and at equal length, and how far each judge can be believed; nothing is asked.

    A question's score is the mean of both orders, in percent over questions. With a gold judge in the same
    folder, the others' agreement with it is told.
    """
    found = _judged(results)
    if as_json:
        typer.echo(json.dumps([_plain(one) for one in found], indent=2, ensure_ascii=False))
        return
    for one in found:
        name = one.identity.get("model") or one.identity.get("backend", "judge")
        out().print(f"{name} ({one.folder.name})", style="bold", markup=False)
        for baseline in dict.fromkeys(rates.baseline for rates in one.rates):
            rows = [_row(rates) for rates in one.rates if rates.baseline == baseline]
            head = ("Row", "Questions", "Win rate, %", "At equal length, %")
            print_table(f"Against {baseline}", head, rows)
        _print_card(one.card, one.agreement)
        out().print("")


def _judged(results: Path) -> list[_Judged]:
    from rpo_bench.judge.card import agreement, judge_card
    from rpo_bench.judge.scores import row_win_rates
    from rpo_bench.judge.storage import judge_folders, load_games, read_identity

    folders = judge_folders(results)
    if not folders:
        raise UserError(f"{results}: there are no judgements; make some by 'rpo-bench judge run'.")
    games = {folder: load_games(folder) for folder in folders}
    identities = {folder: read_identity(folder) for folder in folders}
    gold = next((games[f] for f in folders if identities[f].get("backend") == "gold"), None)
    return [
        _Judged(
            folder,
            identities[folder],
            games[folder],
            row_win_rates(games[folder]),
            judge_card(games[folder]),
            None if gold is None or gold is games[folder] else agreement(games[folder], gold),
        )
        for folder in folders
    ]


def _plain(one: _Judged) -> dict[str, Any]:
    return {
        "folder": str(one.folder),
        "judge": one.identity,
        "card": one.card.model_dump(mode="json"),
        "agreement_with_gold": None if one.agreement is None else one.agreement.model_dump(mode="json"),
        "win_rates": [rates.model_dump(mode="json") for rates in one.rates],
    }


def _row(one: "WinRates") -> tuple[str, ...]:
    missing = f" (+ {one.unscored} unscored)" if one.unscored else ""
    return (
        one.model,
        f"{one.questions - one.unscored}{missing}",
        _told(one.win_rate_interval, 1.0),
        _told(one.length_controlled_interval, 1.0),
    )


def _print_card(card: "JudgeCard", agreed: "Agreement | None") -> None:
    facts = {
        "games": f"{card.games:,}" + "".join(f"; {n:,} unscored: {why}" for why, n in card.unscored.items()),
        "winner changes with the order": _told(card.flips),
        "prefers the first": _told(card.first),
        "prefers the longer": _told(card.longer),
        "ties": _told(card.ties),
    }
    if agreed is not None:
        kappa = "–" if agreed.kappa is None else f"{agreed.kappa:.2f}"
        decided = "–" if agreed.kappa_decided is None else f"{agreed.kappa_decided:.2f}"
        facts["agreement with gold"] = (
            f"{_told(agreed.share)} of {agreed.questions:,} questions; κ {kappa}, without ties {decided}"
        )
    print_facts(facts)
    if card.flips.low is not None and card.flips.low > _MUCH:
        out().print("Warning: this judge's verdicts depend on the order of the responses.", soft_wrap=True)


def _told(value: "Interval", factor: float = 100.0) -> str:
    if value.point is None:
        return "–"
    unit = "" if factor == 1.0 else " %"
    if value.low is None or value.high is None:
        return f"{factor * value.point:.1f}{unit}"
    return f"{factor * value.point:.1f} [{factor * value.low:.1f}, {factor * value.high:.1f}]{unit}"
