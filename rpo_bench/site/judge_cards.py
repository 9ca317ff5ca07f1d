"""The judges' cards: how far those can be believed whose win rates the board shows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rpo_bench.analysis.lengths import bounded_name, bounded_text
from rpo_bench.errors import UserError
from rpo_bench.judge.card import JudgeCard, read_card
from rpo_bench.judge.storage import judge_folders
from rpo_bench.wording import number, share_text

#: Sanity row → what it answers to every question, against the reference policy.
_SANITY = {
    "null model": "one and the same refusal to every question",
    "prompt copy": "the question itself, given back",
    "longer of two": "of two samples of the reference policy, the longer against the shorter",
}


@dataclass(frozen=True)
class ShownCard:
    """A card as the page tells it.

    Attributes:
        judge: Its name.
        facts: (what, how much, why it matters).
        warnings: What to be wary of.
    """

    judge: str
    facts: tuple[tuple[str, str, str], ...]
    warnings: tuple[str, ...]


def judge_cards(roots: Sequence[Path]) -> tuple[list[ShownCard], list[str]]:
    """The cards beside some results, by name, and a sentence on each that can't be read.

    Args:
        roots: Folders of results, or outputs of runs; judgements lie in them or beside them.
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
    yield "asked", f"{card.games:,} games", f"{card.questions:,} questions have a verdict in both orders"
    if (of := card.agreement) is not None:
        yield (
            f"agrees with {of.by}",
            share_text(of.accuracy),
            "of the games with a better response; a coin: 50 %",
        )
        kappa = f"{number(of.kappa)}, without ties {number(of.kappa_without_ties)}"
        yield "Cohen's κ", kappa, "0: as by chance, 1: always the same"
        yield "the longer is the better", share_text(of.longer), "what picking the longer one would reach"
    yield "changes its mind with the order", share_text(card.flip_rate), "of the questions with two winners"
    yield "prefers what it is shown first", share_text(card.prefers_first), "of the decided games; fair: 50 %"
    yield "prefers the longer", share_text(card.prefers_longer), "of the decided questions"
    yield "gives a verdict", share_text(card.parse_rate), "of the games"
    for row in card.sanity:
        told = [_SANITY[row.name]] if row.name in _SANITY else []
        told += [] if row.truth is None else [f"by the gold reward {share_text(row.truth)}"]
        yield f"win rate of the {row.name}", share_text(row.win_rate), "; ".join(told)
