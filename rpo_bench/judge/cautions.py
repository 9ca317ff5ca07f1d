"""Warnings about a judge's reliability, in plain sentences."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rpo_bench.stats.interval import Interval

if TYPE_CHECKING:
    from rpo_bench.judge.card import JudgeCard

_FLIPS, _PLACE, _LENGTH, _PARSED, _ENOUGH = 0.2, 0.1, 0.1, 0.95, 50


def warnings_of(card: "JudgeCard") -> Iterator[str]:
    """The warnings for a card, if any."""
    yield from _of_amount(card)
    yield from _of_truth(card)
    yield from _of_place(card)
    yield from _of_length(card)
    yield from _of_sanity(card)


def _of_amount(card: "JudgeCard") -> Iterator[str]:
    if card.questions < _ENOUGH:
        yield f"Only {card.questions} questions have a verdict in both orders: too few for conclusions."
    if card.parse_rate.point is not None and card.parse_rate.point < _PARSED:
        yield f"{_percent(1 - card.parse_rate.point)} of the games have no verdict."


def _of_truth(card: "JudgeCard") -> Iterator[str]:
    of = card.agreement
    if of is None or of.accuracy.point is None:
        yield "Its accuracy is unknown: there are neither gold rewards nor labels to compare with."
        return
    low = of.accuracy.point if of.accuracy.low is None else of.accuracy.low
    if low <= 0.5:
        yield f"No better than a coin: it agrees with {of.by} in {_with(of.accuracy)} of the games."
    elif of.longer.point is not None and low <= of.longer.point:
        yield (
            f"Little better than picking the longer one: it agrees with {of.by} in "
            f"{_with(of.accuracy)} of the games, and the longer response is better in "
            f"{_percent(of.longer.point)}."
        )


def _of_place(card: "JudgeCard") -> Iterator[str]:
    if card.flip_rate.point is not None and card.flip_rate.point > _FLIPS:
        yield f"It changes its mind with the order in {_with(card.flip_rate)} of the questions."
    point = card.prefers_first.point
    if point is not None and abs(point - 0.5) > _PLACE and _apart(card.prefers_first, 0.5):
        place = "first" if point > 0.5 else "second"
        share = point if point > 0.5 else 1 - point
        yield f"It prefers what it is shown {place}: that wins {_percent(share)} of the decided games."


def _of_length(card: "JudgeCard") -> Iterator[str]:
    of = card.agreement
    fair = 0.5 if of is None or of.longer.point is None else of.longer.point
    found = card.prefers_longer
    if found.point is not None and found.point > fair + _LENGTH and _apart(found, fair):
        by_truth = "" if of is None else f"; by {of.by} it is better in {_percent(fair)}"
        yield f"It prefers length: the longer response wins {_with(found)} of the questions{by_truth}."


def _of_sanity(card: "JudgeCard") -> Iterator[str]:
    for row in card.sanity:
        by_truth = None if row.truth is None else row.truth.point
        if row.win_rate.point is None or (by_truth is not None and by_truth >= 0.5):
            continue
        high = row.win_rate.point if row.win_rate.high is None else row.win_rate.high
        if row.name in ("null model", "prompt copy") and high >= 0.5:
            yield f"A {row.name} wins {_with(row.win_rate)} against the reference: it is easily fooled."


def _apart(interval: Interval, value: float) -> bool:
    if interval.low is None or interval.high is None:
        return False
    return not interval.low <= value <= interval.high


def _with(interval: Interval) -> str:
    point = _percent(interval.point or 0.0)
    if interval.low is None or interval.high is None:
        return point
    return f"{point} [{100 * interval.low:.0f}, {100 * interval.high:.0f}]"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
