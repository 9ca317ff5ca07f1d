"""The judges' cards: how reliable the judges behind the win rates are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rpo_bench.analysis.lengths import bounded_name, bounded_text
from rpo_bench.errors import UserError
from rpo_bench.judge.card import JudgeCard, read_card
from rpo_bench.judge.storage import judge_folders
from rpo_bench.wording import number, share_text

#: Sanity row → its answers, against the reference policy.
_SANITY = {
    "null model": "the same refusal for every question",
    "prompt copy": "the question, repeated",
    "longer of two": "the longer of two samples of the reference policy against the shorter",
}


@dataclass(frozen=True)
class ShownCard:
    """A card as the page shows it.

    Attributes:
        judge: Its name.
        facts: (what, value, explanation).
        warnings: Known weaknesses.
    """

    judge: str
    facts: tuple[tuple[str, str, str], ...]
    warnings: tuple[str, ...]


def judge_cards(roots: Sequence[Path]) -> tuple[list[ShownCard], list[str]]:
    """The cards beside some results, by name, and an error for each that can't be read.

    Args:
        roots: Folders of results, or outputs of runs; judgements are in them or beside them.
    """
    cards: dict[str, ShownCard] = {}
    problems: list[str] = []
    for folder in _folders(roots):
        try:
            card = read_card(folder)
        except UserError as error:
            problems.append(bounded_text(str(error)))
            continue
        if card is not None:
            facts = tuple((what, bounded_text(much), bounded_text(why)) for what, much, why in _facts(card))
            warnings = tuple(map(bounded_text, card.warnings))
            cards[folder.name] = ShownCard(bounded_name(card.judge), facts, warnings)
    return sorted(cards.values(), key=lambda one: one.judge), problems


def _folders(roots: Sequence[Path]) -> Iterator[Path]:
    for root in roots:
        yield from judge_folders(root)
        if root.resolve().name == "results":
            yield from judge_folders(root.resolve().parent)


def _facts(card: JudgeCard) -> Iterator[tuple[str, str, str]]:
    yield "games", f"{card.games:,}", f"{card.questions:,} questions with a verdict in both orders"
    if (of := card.agreement) is not None:
        yield (
            f"agreement with {of.by}",
            share_text(of.accuracy),
            "of the games where one response is better; chance: 50 %",
        )
        kappa = f"{number(of.kappa)}, without ties {number(of.kappa_without_ties)}"
        yield "Cohen's κ", kappa, "0: chance agreement, 1: perfect agreement"
        yield "the longer response is better", share_text(of.longer), "accuracy of always choosing the longer"
    yield "flips with the order", share_text(card.flip_rate), "of the questions with a winner in both orders"
    yield "prefers the first response", share_text(card.prefers_first), "of the decided games; unbiased: 50 %"
    yield "prefers the longer response", share_text(card.prefers_longer), "of the decided questions"
    yield "returns a verdict", share_text(card.parse_rate), "of the games"
    for row in card.sanity:
        notes = [_SANITY[row.name]] if row.name in _SANITY else []
        notes += [] if row.truth is None else [f"gold reward: {share_text(row.truth)}"]
        yield f"win rate of the {row.name}", share_text(row.win_rate), "; ".join(notes)
